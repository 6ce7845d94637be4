"""Prices, one by one, as system admins set them. A price is a fact with a time: what has begun is ended, never rewritten."""

from collections.abc import Mapping
from typing import Any, Final

from credits.ledger import statements
from credits.models import Price
from credits.pricing import table
from kit import transactions
from kit.errors import Conflict
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.audit.models import PLATFORM

FACTS: Final = (
    "organization",
    "kind",
    "name",
    "size",
    "quality",
    "input_price",
    "output_price",
    "cached_input_price",
    "each_price",
    "valid_from",
)
"""What stands for good once the price has begun: charges were made by it."""


def add(*, price: Price, by: Actor) -> None:
    """Put a price into the table: everybody's, or an organization's own."""
    transactions.require()
    price.save(force_insert=True)
    _record(price, by, "price.added", after={name: getattr(price, name) for name in _told(price)})


def change(*, price: Price, before: Mapping[str, Any], by: Actor) -> None:
    """Save a price of which the fields in `before` were changed; raises Conflict for a fact of one that has begun."""
    transactions.require()
    kept = Price.objects.select_for_update(no_key=True, of=("self",)).get(pk=price.pk)
    facts = [name for name in FACTS if name in before]
    if facts and has_begun(kept):
        raise Conflict(f"This price has begun; end it and add another to change {', '.join(facts)}.")
    price.save()
    _record(price, by, "price.changed", before=before, after={name: getattr(price, name) for name in before})


def end(*, price: Price, by: Actor) -> None:
    """Let a price end now; raises Conflict for one that has ended or not begun."""
    transactions.require()
    kept = Price.objects.select_for_update(no_key=True, of=("self",)).get(pk=price.pk)
    now = statements.clock()
    if not kept.valid_from < now or (kept.valid_until is not None and kept.valid_until <= now):
        raise Conflict("This price is not valid now.")
    before, kept.valid_until = kept.valid_until, now
    kept.save()
    _record(kept, by, "price.ended", before={"valid_until": before}, after={"valid_until": now})


def has_begun(price: Price) -> bool:
    """Tell whether something may have been charged by this price."""
    return price.valid_from <= statements.clock()


def _told(price: Price) -> list[str]:
    """Return the fields that say something."""
    told = (*FACTS[1:], "provider", "default_output_tokens", "valid_until")
    return [name for name in told if getattr(price, name) not in ("", None)]


def _record(price: Price, by: Actor, action: str, **facts: Mapping[str, Any]) -> None:
    events.record(
        organization=price.organization.public_id if price.organization is not None else PLATFORM,
        by=by,
        action=action,
        target=price.name,
        **{name: {key: _plain(value) for key, value in values.items()} for name, values in facts.items()},
    )
    table.forget()


def _plain(value: Any) -> Any:
    return getattr(value, "public_id", value)
