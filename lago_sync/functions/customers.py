"""The customer of an organization at Lago: made, found, changed. Its id there is the organization's public id."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.utils import timezone

from kit import transactions
from kit.errors import ValidationError
from lago_sync.client import customers as at_lago
from lago_sync.client.transport import Json
from lago_sync.customers import linking
from lago_sync.functions import makers
from lago_sync.functions.boundary import actor, organization, told
from lago_sync.models import LagoCustomer
from orgs import organizations
from orgs.models import Organization

_MOST_ENTRIES: Final = 5
_LONGEST_KEY: Final = 20
_LONGEST_VALUE: Final = 100
_OURS: Final = ("billing_type", "created_at", "created_by_user_id")
_PREFIX: Final = "org_"


def is_org_customer(external_id: object) -> bool:
    """Tell whether an id at Lago is an organization's (`org_…`), and not a user's (`user_…`) or another's."""
    return isinstance(external_id, str) and external_id.startswith(_PREFIX)


@told
def create_org_customer(
    org_id: str,
    org_name: str,
    email: str,
    user_id: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Json:
    """Make the organization's customer at Lago, or give the one that is there this name and e-mail; returns it.

    An organization that the portal does not know yet is made with the id (`org_…`), owned by the user `user_id`, else
    by whoever has the e-mail. `metadata` are entries beside our own (`billing_type`, `created_at`,
    `created_by_user_id`), which Lago takes 5 of, with keys of 20 and values of 100 characters; they are written when
    the customer is made. The result has Lago's fields (`lago_id`, `external_id`, `name`, `email`, `currency`,
    `metadata`: a list of {lago_id, key, value}, …) and `as_of`. Repeating it makes no second customer.

    Raises NotDone (`codes` by field), LagoRefused, LagoUnavailable.
    """
    now = timezone.now()
    entries = _entries(user_id, metadata or {})
    found = makers.found_or_made(org_id=org_id, org_name=org_name, email=email, user_id=user_id)
    _rename(found, {"name": org_name, "billing_email": email}, user_id)
    customer = linking.ensure_customer(organization=found, now=now, metadata=entries)
    if customer.synced_at != now:
        _tell(found, now)
    return _kept(found)


@told
def get_or_create_customer(
    org_id: str,
    org_name: str,
    email: str,
    user_id: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Json:
    """Return the organization's customer as it is, made at Lago as by `create_org_customer` if there is none."""
    found = organization(org_id)
    if found is not None and LagoCustomer.objects.filter(organization=found).exists():
        return _kept(found)
    return create_org_customer(org_id, org_name, email, user_id, metadata)


@told
def get_customer(org_id: str, fresh: bool = False) -> Json | None:  # noqa: FBT001, FBT002 - the seeds' way
    """Return the organization's customer as Lago showed it last (`as_of`), None if there is none.

    With `fresh` Lago is asked: raises LagoUnavailable, LagoRefused.
    """
    found = organization(org_id)
    if found is None:
        return None
    at = timezone.now()
    shown = at_lago.get(found.public_id) if fresh else None
    if fresh and shown is None:
        return None
    if shown is not None:
        with transactions.durable():
            linking.note_seen(organization=found, found=shown, at=at)
        return shown | {"as_of": at.isoformat()}
    known = LagoCustomer.objects.filter(organization=found).exists()
    return _kept(found) if known else None


@told
def update_org_customer(
    org_id: str,
    org_name: str | None = None,
    email: str | None = None,
    metadata: Mapping[str, str] | None = None,
    user_id: str | None = None,
) -> Json | None:
    """Change name, billing e-mail or metadata of the organization's customer; what is None stays.

    Name and e-mail are the organization's own in the portal, so both change there too, audited. Of `metadata` the
    entries named are set, the others stay. Returns the customer, None if there is none. Raises NotDone (`codes` by
    field), LagoRefused, LagoUnavailable: then the portal has the change and Lago hears of it later.
    """
    found = organization(org_id)
    if found is None or not LagoCustomer.objects.filter(organization=found).exists():
        return None
    now = timezone.now()
    _check(metadata or {})
    wanted = {"name": org_name, "billing_email": email}
    _rename(found, {field: value for field, value in wanted.items() if value is not None}, user_id)
    _tell(found, now)
    if metadata:
        _set_metadata(found, metadata, now)
    return _kept(found)


def _rename(found: Organization, changes: Mapping[str, str], user_id: str | None) -> None:
    """Give the organization the name and billing e-mail; `found` has them then."""
    with transactions.durable():
        changed = organizations.update(organization=found, changes=changes, by=actor(user_id))
    found.name, found.billing_email = changed.name, changed.billing_email


def _tell(found: Organization, now: datetime) -> None:
    """Let Lago have the organization's details at once, and keep its answer."""
    customer = LagoCustomer.objects.select_related("organization").get(organization=found)
    shown = linking.tell_change(customer=customer)
    with transactions.durable():
        linking.note_seen(organization=found, found=shown, at=now)


def _set_metadata(found: Organization, metadata: Mapping[str, str], now: datetime) -> None:
    """Set entries of the customer, the others sent back with the ids that Lago gave them (reference/lago.md §2.1)."""
    shown = at_lago.get(found.public_id) or {}
    entries = {one["key"]: one for one in shown.get("metadata") or []}
    for key, value in metadata.items():
        entries[key] = entries.get(key, {"key": key, "display_in_invoice": False}) | {"value": value}
    _check({key: str(one["value"]) for key, one in entries.items()})
    sent = [
        {"key": one["key"], "value": one["value"], "display_in_invoice": one["display_in_invoice"]}
        | ({"id": one["lago_id"]} if "lago_id" in one else {})
        for one in entries.values()
    ]
    answer = at_lago.upsert({"external_id": found.public_id, "metadata": sent})
    with transactions.durable():
        linking.note_seen(organization=found, found=answer, at=now)


def _entries(user_id: str | None, given: Mapping[str, str]) -> dict[str, str]:
    entries = dict(given) | ({"created_by_user_id": user_id} if user_id else {})
    _check(dict.fromkeys(_OURS, "-") | entries)
    return entries


def _check(entries: Mapping[str, str]) -> None:
    """Raise ValidationError for what Lago would refuse: then nothing at all is done."""
    if len(entries) > _MOST_ENTRIES:
        raise ValidationError(metadata=f"Lago keeps {_MOST_ENTRIES} entries, of which {len(_OURS)} are ours.")
    for key, value in entries.items():
        if not _is_text(key, _LONGEST_KEY):
            raise ValidationError(metadata=f"A key has 1 to {_LONGEST_KEY} characters.")
        if not _is_text(value, _LONGEST_VALUE):
            raise ValidationError(metadata=f"{key} is a text of 1 to {_LONGEST_VALUE} characters.")


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= longest


def _kept(found: Organization) -> Json:
    row = LagoCustomer.objects.get(organization=found)
    ids = {"lago_id": str(row.lago_id), "external_id": found.public_id, "currency": row.currency}
    as_of = row.synced_at or row.created_at
    body: Json = row.body
    return {"name": found.name, "email": found.billing_email} | body | ids | {"as_of": as_of.isoformat()}
