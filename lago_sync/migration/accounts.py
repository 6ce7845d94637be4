"""The organization that takes a user's place: found or made here, linked to a customer at Lago that says where it is from."""

from collections.abc import Mapping
from typing import Any, Final

from kit import transactions
from lago_sync.client import customers
from lago_sync.client.transport import Json
from lago_sync.customers import linking
from lago_sync.errors import LagoRefused
from lago_sync.migration import standing
from lago_sync.migration.candidates import Candidate, email_of, name_of
from lago_sync.migration.cases import CannotMigrate, Case
from lago_sync.models import CustomerMigration
from orgs import organizations, users
from orgs.audit.events import Actor
from orgs.models import Membership, Organization, User

_MOST_ENTRIES: Final = 5
"""Of metadata, that Lago keeps of a customer."""
_DETAILS: Final[Mapping[str, str]] = {
    "billing_email": "email",
    "legal_name": "legal_name",
    "tax_number": "tax_identification_number",
    "billing_address": "address_line1",
}
"""Ours, and what Lago calls it."""


def settle(case: Case) -> None:
    """Find the organization or make it, with its owner; two runs at once make one."""
    with transactions.durable():
        row = CustomerMigration.objects.select_for_update(no_key=True).get(pk=case.row.pk)
        if row.organization_id is None:
            row.organization = _found(case) or _made(case)
            row.organization_public_id = row.organization.public_id
            row.organization_name = row.organization.name
            row.save(update_fields=["organization", "organization_public_id", "organization_name"])
    for name in ("organization", "organization_public_id", "organization_name"):
        setattr(case.row, name, getattr(row, name))


def existing(candidate: Candidate, email: str) -> Organization | None:
    """Return the organization that is there already: of the id that was given, else the person's own one."""
    if candidate.org_id:
        return Organization.objects.filter(public_id=candidate.org_id).first()
    return Organization.objects.filter(personal_of__email=email).first() if email else None


def refuse_unfit(organization: Organization, currency: str) -> None:
    """Raise CannotMigrate for an organization that is archived or has another currency than what is moved to it."""
    if organization.status == Organization.Status.ARCHIVED:
        raise CannotMigrate(f"{organization.public_id} is archived.")
    if currency and currency != organization.currency:
        raise CannotMigrate(
            f"Lago bills it in {currency}, and {organization.public_id} is in {organization.currency}."
        )


def link(case: Case) -> None:
    """Make the organization's customer at Lago with where it is from, or note that at the one which is there."""
    organization = case.organization
    found = customers.get(organization.public_id)
    if found is None:
        _make_customer(case)
    else:
        _mark(found, _where_from(case))
    linking.ensure_customer(organization=organization, now=case.now)
    made = customers.get(organization.public_id) or {}
    case.lagos_now = max(case.lagos_now, standing.stamped(made) or case.now)
    if made.get("applicable_timezone") != case.customer.get("applicable_timezone"):
        raise CannotMigrate(
            "Lago counts the days of the two customers in different time zones; give both the same there."
        )


def mark_left(case: Case) -> None:
    """Note at the old customer, which keeps its invoices, where it went."""
    found = customers.get(str(case.customer["external_id"]))
    if found is not None:
        _mark(found, {"migrated_to": case.organization.public_id, "migration_date": _day(case)})


def is_marked(customer: Json, public_id: str) -> bool:
    """Tell whether an old customer says that it went to this organization."""
    return any(
        (one["key"], one["value"]) == ("migrated_to", public_id) for one in customer.get("metadata") or []
    )


def has_room(customer: Json) -> bool:
    """Tell whether a customer's metadata has room for where it went."""
    return len(customer.get("metadata") or []) + 2 <= _MOST_ENTRIES


def _found(case: Case) -> Organization | None:
    found = existing(case.candidate, email_of(case.customer, case.candidate))
    if found is not None:
        refuse_unfit(found, str(case.facts["currency"]))
    return found


def _made(case: Case) -> Organization:
    owner = _owner(case)
    if not case.candidate.org_id:
        made = organizations.personal_for(user=owner)
        refuse_unfit(made, str(case.facts["currency"]))
    else:
        made = organizations.create(
            name=name_of(case.customer, case.candidate),
            owner=owner,
            by=case.by,
            public_id=case.candidate.org_id,
            currency=str(case.facts["currency"]),
        )
    details = {ours: str(case.customer.get(lagos) or "") for ours, lagos in _DETAILS.items()}
    if case.candidate.email:
        details["billing_email"] = case.candidate.email
    return organizations.update(
        organization=made, changes={name: value for name, value in details.items() if value}, by=case.by
    )


def _owner(case: Case) -> User:
    """Return the person with the customer's address, made now if there is none: they set a password by the reset page."""
    email = email_of(case.customer, case.candidate)
    if not email:
        raise CannotMigrate("Neither the list nor Lago has an e-mail address for it.")
    return owner_at(email=email, name=str(case.customer.get("name") or ""), by=case.by)


def owner_at(*, email: str, name: str, by: Actor) -> User:
    """Return the person with this address, made now if there is none. Needs a transaction."""
    known = User.objects.filter(email=email.lower()).first()
    if known is not None:
        return known
    return users.create(email=email, name=(name or email.partition("@")[0])[:150], by=by)


def _make_customer(case: Case) -> None:
    organization = case.organization
    fields: dict[str, Any] = {
        "external_id": organization.public_id,
        "name": organization.name,
        "currency": case.facts["currency"] or organization.currency,
        "metadata": [_entry(key, value) for key, value in sorted(_who(case).items())],
    }
    if card := _stored_card(case.customer):
        fields["billing_configuration"] = card
    try:
        customers.upsert(fields)
    except LagoRefused as refusal:
        if not refusal.has("value_already_exist"):  # another run made it just now
            raise


def _stored_card(customer: Json) -> Json:
    """Return the link to the payment provider's own customer, so that a stored card pays the renewals too."""
    known: Json = customer.get("billing_configuration") or {}
    if not (known.get("payment_provider") and known.get("provider_customer_id")):
        return {}
    names = ("payment_provider", "payment_provider_code", "provider_customer_id", "sync_with_provider")
    return {name: known[name] for name in names if known.get(name) is not None}


def _who(case: Case) -> dict[str, str]:
    """Return contract.md §5's entries, of which Lago takes just as many."""
    owner = (
        case.organization.memberships.filter(role=Membership.Role.OWNER).order_by("joined_at", "pk").first()
    )
    entries = {"created_at": case.now.isoformat(timespec="seconds"), "billing_type": "organization"}
    if owner is not None:
        entries["created_by_user_id"] = owner.user.public_id
    return entries | _where_from(case)


def _where_from(case: Case) -> dict[str, str]:
    return {"migrated_from": str(case.customer["external_id"]), "migration_date": _day(case)}


def _day(case: Case) -> str:
    return case.row.started_at.date().isoformat()


def _mark(found: Json, wanted: Mapping[str, str]) -> None:
    """Add entries to a customer's metadata; those that are there stay, and what has no room is left out."""
    kept = [
        {"id": one["lago_id"], **_entry(one["key"], wanted.get(one["key"], one["value"]))}
        for one in found.get("metadata") or []
    ]
    known = {one["key"] for one in kept}
    new = [_entry(key, value) for key, value in wanted.items() if key not in known]
    if len(kept) + len(new) <= _MOST_ENTRIES:
        customers.upsert({"external_id": found["external_id"], "metadata": [*kept, *new]})


def _entry(key: str, value: str) -> Json:
    return {"key": key, "value": str(value)[:100], "display_in_invoice": False}
