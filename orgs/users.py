"""Users: people, made and changed by staff; who signs up by themselves comes through `orgs.access.signup`."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError as InvalidEmail
from django.core.validators import validate_email

from kit import transactions
from kit.errors import AlreadyExists, Conflict, ValidationError
from orgs import names
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.audit.models import PLATFORM
from orgs.models import User

CHANGEABLE: Final = frozenset({"name", "is_active", "is_staff"})


def create(*, email: str, name: str, by: Actor) -> User:
    """Make a person who sets a password by the reset page; raises ValidationError, AlreadyExists."""
    transactions.require()
    address = (email or "").strip().lower()
    try:
        validate_email(address)
    except InvalidEmail:
        raise ValidationError(email="This is no e-mail address.") from None
    if User.objects.filter(email=address).exists():
        raise AlreadyExists("There is a user with this address.", email=address)
    user = User.objects.create_user(address, name=names.cleaned(name, longest=150))
    _record(user, by, "user.created", after={"email": address, "name": user.name})
    return user


def update(*, user: User, changes: Mapping[str, Any], by: Actor) -> User:
    """Change name, whether the user may sign in, and whether they are a system admin; both of these count at once.

    Raises ValidationError for another field, and Conflict for the last system admin.
    """
    transactions.require()
    for field in changes:
        if field not in CHANGEABLE:
            raise ValidationError(**{field: "This cannot be changed."})
    values = dict(changes) | (
        {"name": names.cleaned(changes["name"], longest=150)} if "name" in changes else {}
    )
    admins = {
        one.pk: one
        for one in User.objects.filter(is_staff=True).order_by("pk").select_for_update(no_key=True)
    }
    locked = admins.get(user.pk) or User.objects.select_for_update(no_key=True).get(pk=user.pk)
    before = {field: getattr(locked, field) for field in values}
    for field, value in values.items():
        setattr(locked, field, value)
    others = [one for one in admins.values() if one.pk != user.pk and one.is_active]
    if user.pk in admins and not others and not (locked.is_staff and locked.is_active):
        raise Conflict("This is the only system admin; make somebody else one first.")
    if locked.is_service and locked.is_staff:
        raise ValidationError(is_staff="A service member is no system admin.")
    locked.save(update_fields=list(values))
    if before != values:
        _record(locked, by, "user.updated", before=before, after=values)
    return locked


def _record(user: User, by: Actor, action: str, **facts: dict[str, Any]) -> None:
    events.record(organization=PLATFORM, by=by, action=action, target=user.public_id, **facts)
