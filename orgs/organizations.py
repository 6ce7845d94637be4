"""Organizations: made, changed, suspended, archived; and which one a user's next request is for."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError as InvalidEmail
from django.core.validators import validate_email
from django.db import transaction

from kit import transactions
from kit.errors import AlreadyExists, Conflict, NotFound, ValidationError
from orgs import names
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Membership, Organization, User

_LONGEST: Final = {"name": 120, "legal_name": 200, "tax_number": 64, "billing_address": 500}
_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "shared_spending": Organization.SharedSpending.values,
    "unpriced": Organization.Unpriced.values,
}
_GIVEN_ID: Final = re.compile(r"org_[A-Za-z0-9_-]{1,60}", re.ASCII)
_AMOUNT: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?", re.ASCII)
_MOST_CREDITS: Final = 1_000_000_000
CHANGEABLE: Final = frozenset(
    {*_LONGEST, "time_zone", "billing_email", "shared_spending", "unpriced", "unpriced_credits"}
)
"""What `update` changes. The currency is not among them: it is fixed once money moved."""


def create(
    *,
    name: str,
    owner: User,
    by: Actor,
    time_zone: str = "UTC",
    public_id: str = "",
    currency: str = "",
) -> Organization:
    """Make a team with its owner; raises ValidationError. Nothing about it gives credits.

    `public_id` is one that was given elsewhere (`org_…`) and survives; AlreadyExists where it is taken.
    """
    transactions.require()
    organization = Organization(
        name=names.cleaned(name),
        time_zone=_time_zone(time_zone),
        currency=currency or settings.DEFAULT_CURRENCY,
    )
    if public_id:
        organization.public_id = checked_id(public_id)
    saved = _save(organization)
    if saved.created_at != organization.created_at:
        raise AlreadyExists("There is an organization with this id.", org_id=public_id)
    _begin(saved, owner=owner, by=by)
    return saved


def checked_id(public_id: str) -> str:
    """Return a public id that came from outside; raises ValidationError for what no address could carry."""
    if not _GIVEN_ID.fullmatch(public_id):
        raise ValidationError(org_id="org_ and at most 60 letters, digits, _ or - are expected.")
    return public_id


def personal_for(*, user: User) -> Organization:
    """Return the user's personal organization, made now if this is the first need of it; two at once make one."""
    transactions.require()
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    found = Organization.objects.filter(personal_of=user).first()
    if found is not None:
        return found
    organization = _save(
        Organization(
            kind=Organization.Kind.PERSONAL,
            personal_of=user,
            name=(user.name or "Personal")[:120],
            currency=settings.DEFAULT_CURRENCY,
        )
    )
    _begin(organization, owner=user, by=Actor(kind="user", public_id=user.public_id))
    return organization


def update(*, organization: Organization, changes: Mapping[str, str | Decimal], by: Actor) -> Organization:
    """Change the fields of `CHANGEABLE` that are given; raises ValidationError naming each refused one.

    `unpriced` and `unpriced_credits` are judged together, as they will stand: what is charged flat costs something.
    """
    transactions.require()
    values = {field: _checked(field, value) for field, value in changes.items()}
    locked = lock(organization)
    _check_unpriced(locked, values)
    before = {field: getattr(locked, field) for field in values}
    after = {field: value for field, value in values.items() if before[field] != value}
    if not after:
        return locked
    for field, value in after.items():
        setattr(locked, field, value)
    locked.save(update_fields=list(after))
    _record(locked, by, "organization.updated", before={field: before[field] for field in after}, after=after)
    return locked


def suspend(*, organization: Organization, reason: str, by: Actor) -> Organization:
    """Stop new holds and charges at once (staff); open holds run to their end."""
    return _move(
        organization, Organization.Status.SUSPENDED, from_=Organization.Status.ACTIVE, by=by, reason=reason
    )


def resume(*, organization: Organization, by: Actor) -> Organization:
    """Let a suspended organization spend again (staff)."""
    return _move(organization, Organization.Status.ACTIVE, from_=Organization.Status.SUSPENDED, by=by)


def archive(*, organization: Organization, by: Actor) -> Organization:
    """Close a team for good: nobody finds it any more, its books stay. Raises Conflict for a personal one."""
    if organization.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization lives as long as its user.")
    return _move(organization, Organization.Status.ARCHIVED, from_=Organization.Status.ACTIVE, by=by)


def switch(*, user: User, organization: Organization, by: Actor) -> None:
    """Make this the organization that the user's next request is for; raises NotFound unless a member."""
    _choose(user, organization, "active_organization", "organization.switched", by)


def set_default(*, user: User, organization: Organization, by: Actor) -> None:
    """Make this the organization a user falls back to; raises NotFound unless a member."""
    _choose(user, organization, "default_organization", "organization.default_chosen", by)


def active_for(*, user: User) -> Organization:
    """Return whose money the user's next request is: active, default, earliest joined team, personal (product.md §6).

    A choice that is no longer open to the user is passed over. Makes the personal organization if nothing is left.
    """
    memberships = (
        Membership.objects.live().filter(user=user).exclude(organization__status=Organization.Status.ARCHIVED)
    )
    mine = {
        one.organization_id: one.organization
        for one in memberships.select_related("organization").order_by("joined_at", "pk")
    }
    for chosen in (user.active_organization_id, user.default_organization_id):
        if chosen in mine:
            return mine[chosen]
    teams = [one for one in mine.values() if one.kind == Organization.Kind.TEAM]
    if teams or mine:
        return (teams or list(mine.values()))[0]
    with transaction.atomic():  # the one read that may have to write first
        return personal_for(user=user)


def lock(organization: Organization) -> Organization:
    """Return the organization, its row locked; decide by this instance only. Raises NotFound for an archived one."""
    found = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if found.status == Organization.Status.ARCHIVED:
        raise NotFound("There is no such organization.")
    return found


def _begin(organization: Organization, *, owner: User, by: Actor) -> None:
    Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
    facts = {"name": organization.name, "kind": organization.kind, "owner": owner.public_id}
    _record(organization, by, "organization.created", after=facts)


def _save(organization: Organization) -> Organization:
    """Insert under the address that the name gives, or a random one beside it where that is taken."""
    organization.slug = names.slug_for(organization.name)
    Organization.objects.bulk_create([organization], ignore_conflicts=True)
    found = Organization.objects.filter(public_id=organization.public_id).first()
    if found is not None:
        return found
    organization.slug = names.slug_for(organization.name, distinct=True)
    organization.save(force_insert=True)
    return organization


def _checked(field: str, value: str | Decimal) -> str | Decimal:
    if field not in CHANGEABLE:
        raise ValidationError(**{field: "This cannot be changed."})
    if field == "unpriced_credits":
        return _credits(value)
    text = str(value)
    if field == "time_zone":
        return _time_zone(text)
    if field == "billing_email":
        return _email(text)
    if field in _CHOICES:
        if text not in _CHOICES[field]:
            raise ValidationError(**{field: f"One of {', '.join(_CHOICES[field])} is expected."})
        return text
    return names.cleaned(text, field=field, longest=_LONGEST[field], may_be_empty=field != "name")


def _check_unpriced(locked: Organization, values: Mapping[str, str | Decimal]) -> None:
    choice = values.get("unpriced", locked.unpriced)
    credits = values.get("unpriced_credits", locked.unpriced_credits)
    if choice == Organization.Unpriced.FLAT and not credits:
        raise ValidationError(unpriced_credits="To charge flat, name the credits: more than 0 are expected.")


def _credits(value: str | Decimal) -> Decimal:
    """Return the credits of a flat charge; `credits.amounts` lies above this app, and says the same."""
    text = f"{value:f}" if isinstance(value, Decimal) else value
    if not _AMOUNT.fullmatch(text) or Decimal(text) > _MOST_CREDITS:
        raise ValidationError(
            unpriced_credits='Credits such as "0.5" are expected: 0 to 1,000,000,000, at most 6 decimal places.'
        )
    return Decimal(text)


def _time_zone(value: str) -> str:
    if value not in _time_zones():
        raise ValidationError(
            time_zone="A name of the IANA time zone database is expected, such as Europe/Berlin."
        )
    return value


@cache
def _time_zones() -> set[str]:
    """Return the names of the database, whose folders take milliseconds to walk through."""
    return available_timezones()


def _email(value: str) -> str:
    address = names.cleaned(value, field="billing_email", longest=254, may_be_empty=True)
    try:
        if address:
            validate_email(address)
    except InvalidEmail:
        raise ValidationError(billing_email="This is no e-mail address.") from None
    return address


def _move(organization: Organization, to: str, *, from_: str, by: Actor, **facts: str) -> Organization:
    transactions.require()
    locked = lock(organization)
    if locked.status == to:
        return locked
    if locked.status != from_:
        raise Conflict(f"The organization is {locked.status}.", status=locked.status)
    locked.status = to
    locked.save(update_fields=["status"])
    action = {"active": "resumed"}.get(to, to)
    _record(locked, by, f"organization.{action}", before={"status": from_}, after={"status": to, **facts})
    return locked


def _choose(user: User, organization: Organization, field: str, action: str, by: Actor) -> None:
    transactions.require()
    if not Organization.objects.of_member(user).filter(pk=organization.pk).exists():
        raise NotFound("There is no such organization.")
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if getattr(locked, f"{field}_id") != organization.pk:
        setattr(locked, field, organization)
        locked.save(update_fields=[field])
        _record(organization, by, action, target=user.public_id)
    setattr(user, field, organization)


def _record(
    organization: Organization, by: Actor, action: str, *, target: str = "", **facts: dict[str, Any]
) -> None:
    events.record(
        organization=organization.public_id,
        by=by,
        action=action,
        target=target or organization.public_id,
        **facts,
    )
