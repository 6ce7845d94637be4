"""Importing a price list into the table: all or nothing, and a second time nothing.

A price is a fact with a time: one that changed is closed (`valid_until`) and a new one begins in the same instant, so that
what was charged before keeps its explanation. What the list does not name stays as it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from credits.ledger import statements
from credits.models import Price
from credits.pricing import table
from credits.pricing.offers import Key, Offer, PriceList
from kit import transactions
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.audit.models import PLATFORM
from orgs.models import Organization

_BATCH: Final = 1_000
_NAMES_AUDITED: Final = 100


@dataclass(slots=True)
class Changes:
    """What an import does, or would do."""

    new: list[Offer] = field(default_factory=list)
    changed: list[tuple[Price, Offer]] = field(default_factory=list)
    unchanged: int = 0
    not_named: int = 0
    """Present prices that the list says nothing of."""


def compare(*, prices: PriceList, organization: Organization | None, at: datetime) -> Changes:
    """Return what the list would change in everybody's prices, or in an organization's own, as they are at `at`."""
    present = _present(organization, at)
    changes = Changes(not_named=len(present.keys() - prices.offers.keys()))
    for key, offer in prices.offers.items():
        found = present.get(key)
        if found is None:
            changes.new.append(offer)
        elif _is_same(found, offer):
            changes.unchanged += 1
        else:
            changes.changed.append((found, offer))
    return changes


def run(
    *, prices: PriceList, organization: Organization | None = None, source: str, digest: str, by: Actor
) -> Changes:
    """Bring the table in line with the list and return what that changed; `source` and `digest` name the file in the audit log.

    Imports and edits wait for each other; pricing goes on meanwhile. The instant is read after the lock, so that a price
    that an earlier import has just begun is closed after it began.
    """
    transactions.require()
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE credits_price IN SHARE ROW EXCLUSIVE MODE")
    now = statements.clock()
    changes = compare(prices=prices, organization=organization, at=now)
    if changes.new or changes.changed:
        _write(changes, organization, now)
        _record(changes, organization, source=source, digest=digest, by=by)
    table.forget()
    return changes


def _present(organization: Organization | None, at: datetime) -> dict[Key, Price]:
    """Return the price of each kind of thing that is valid at that instant: of several the newest."""
    rows = Price.objects.filter(organization=organization, valid_from__lte=at)
    valid = rows.filter(Q(valid_until=None) | Q(valid_until__gt=at)).order_by("valid_from")
    return {(row.kind, row.name, row.size, row.quality): row for row in valid}


def _is_same(price: Price, offer: Offer) -> bool:
    """Tell whether both ask the same. A provider's name is no price, and a size that the list does not say is ours."""
    tokens = offer.default_output_tokens
    return (
        (price.input_price, price.output_price, price.each_price)
        == (offer.input_price, offer.output_price, offer.each_price)
        and _cached(price) == _cached(offer)
        and tokens in (None, price.default_output_tokens)
    )


def _cached(one: Price | Offer) -> object:
    """Return what a cached token costs: without a price of its own as much as any other."""
    return one.input_price if one.cached_input_price is None else one.cached_input_price


def _write(changes: Changes, organization: Organization | None, now: datetime) -> None:
    closed = [price.pk for price, _ in changes.changed]
    Price.objects.filter(pk__in=closed).update(valid_until=now, changed_at=timezone.now())
    rows = [_row(offer, organization, now, offer.expected_output_tokens) for offer in changes.new]
    rows += [_row(offer, organization, now, price.default_output_tokens) for price, offer in changes.changed]
    Price.objects.bulk_create(rows, batch_size=_BATCH)


def _row(offer: Offer, organization: Organization | None, now: datetime, expected: int) -> Price:
    said = offer.default_output_tokens
    return Price(
        organization=organization,
        kind=offer.kind,
        name=offer.name,
        size=offer.size,
        quality=offer.quality,
        provider=offer.provider,
        input_price=offer.input_price,
        output_price=offer.output_price,
        cached_input_price=offer.cached_input_price,
        each_price=offer.each_price,
        default_output_tokens=expected if said is None else said,
        valid_from=now,
    )


def _record(
    changes: Changes, organization: Organization | None, *, source: str, digest: str, by: Actor
) -> None:
    """Write one audit event: the rows themselves say what each price was and is."""
    names = sorted(offer.name for _, offer in changes.changed)
    events.record(
        organization=PLATFORM if organization is None else organization.public_id,
        by=by,
        action="prices.imported",
        target=source,
        after={
            "sha256": digest,
            "new": len(changes.new),
            "changed": len(changes.changed),
            "unchanged": changes.unchanged,
            "changed_names": names[:_NAMES_AUDITED],
        },
    )
