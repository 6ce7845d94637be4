"""What the API of `orgs` reads: one frozen dataclass a body, every wrong field told at once.

Here only the kind of a value is judged; what it means is judged by the verb that it goes to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Annotated, Any, Final, Self, TypeVar

from django.utils.dateparse import parse_datetime

from kit.errors import ValidationError
from kit.rest.schema import Shape
from orgs.access.keys import Terms
from orgs.models import AccessKey, Membership, Organization

_Choice = TypeVar("_Choice", bound=Enum)

_LONGEST: Final = 2_000
_LARGEST_LIST: Final = 100


class Fields:
    """The fields of a body, read by name inside `with`; leaving it raises ValidationError (422) for all that was wrong."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._read: set[str] = set()
        self._wrong: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unknown = {str(name): "There is no such field." for name in self._given if name not in self._read}
        if kind is None and (self._wrong or unknown):
            raise ValidationError(**(self._wrong | unknown))

    def text(self, name: str) -> str:
        """Return a text that is needed."""
        found = self.text_or_none(name)
        if found is None and name not in self._wrong:
            self._wrong[name] = "This is needed."
        return found or ""

    def text_or_none(self, name: str) -> str | None:
        """Return a text, None where it was not given or is null."""
        found = self._value(name)
        if found is None:
            return None
        if not isinstance(found, str) or len(found) > _LONGEST:
            self._wrong[name] = f"A text of at most {_LONGEST} characters is expected."
            return None
        return found

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty where it was not given."""
        found = self._value(name)
        if found is None:
            return []
        if (
            not isinstance(found, list)
            or len(found) > _LARGEST_LIST
            or not all(isinstance(one, str) for one in found)
        ):
            self._wrong[name] = f"A list of at most {_LARGEST_LIST} texts is expected."
            return []
        return found

    def choice(self, name: str, of: type[_Choice]) -> _Choice | None:
        """Return one of an enum's values, None where it was not given."""
        found = self.text_or_none(name)
        if found is None:
            return None
        known = {one.value: one for one in of}
        if found not in known:
            self._wrong[name] = f"One of {', '.join(known)} is expected."
        return known.get(found)

    def instant(self, name: str) -> datetime | None:
        """Return an RFC 3339 time with its offset, None where it was not given."""
        found = self.text_or_none(name)
        if found is None:
            return None
        try:
            at = parse_datetime(found)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self._wrong[name] = "A time such as 2027-01-31T12:00:00Z is expected."
            return None
        return at

    def was_given(self, name: str) -> bool:
        """Tell whether the field is there at all: a null that was said is not one that was left out."""
        self._read.add(name)
        return name in self._given

    def _value(self, name: str) -> Any:
        self._read.add(name)
        return self._given.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrganization(Shape):
    name: str
    time_zone: Annotated[str, "of the IANA database"] = "UTC"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(name=body.text("name"), time_zone=body.text_or_none("time_zone") or "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChanges(Shape):
    """What is left out stays."""

    name: str | None = None
    time_zone: str | None = None
    shared_spending: Organization.SharedSpending | None = None
    billing_email: str | None = None
    legal_name: str | None = None
    tax_number: str | None = None
    billing_address: str | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the changes by field."""
        with Fields(given) as body:
            return {name: body.text(name) for name in cls.__dataclass_fields__ if body.was_given(name)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanges(Shape):
    """What is left out stays; a department of null takes the member out of any."""

    role: Membership.Role | None = None
    department_id: str | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> tuple[Self, bool]:
        """Return the changes and whether the department is among them."""
        with Fields(given) as body:
            moves = body.was_given("department_id")
            role = body.choice("role", Membership.Role)
            return cls(role=role, department_id=body.text_or_none("department_id")), moves


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDepartment(Shape):
    name: str
    managers: Annotated[list[str], "user ids of members"] = field(default_factory=list)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(name=body.text("name"), managers=body.texts("managers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentChanges(Shape):
    """What is left out stays; `managers` is the whole list from now on."""

    name: str | None = None
    managers: Annotated[list[str] | None, "user ids of members"] = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            managers = body.texts("managers") if body.was_given("managers") else None
            return cls(name=body.text_or_none("name"), managers=managers)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPersonalKey(Shape):
    name: str
    scopes: list[str]
    expires_at: datetime | None = None
    allowed_addresses: Annotated[list[str], "addresses or networks; empty allows all"] = field(
        default_factory=list
    )

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(**cls._terms(body))

    def terms(self) -> Terms:
        """Return what the key is called and how far it reaches."""
        return Terms(
            name=self.name,
            scopes=self.scopes,
            expires_at=self.expires_at,
            allowed_addresses=self.allowed_addresses,
        )

    @staticmethod
    def _terms(body: Fields) -> dict[str, Any]:
        return {
            "name": body.text("name"),
            "scopes": body.texts("scopes"),
            "expires_at": body.instant("expires_at"),
            "allowed_addresses": body.texts("allowed_addresses"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(NewPersonalKey):
    kind: Annotated[
        AccessKey.Kind, "`membership`: the caller, or a service member; `organization`: the organization"
    ] = AccessKey.Kind.MEMBERSHIP
    user_id: Annotated[str | None, "a service member; without it the key is the caller's own"] = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            kind = body.choice("kind", AccessKey.Kind) or AccessKey.Kind.MEMBERSHIP
            return cls(**cls._terms(body), kind=kind, user_id=body.text_or_none("user_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MyChanges(Shape):
    default_org_id: str

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(default_org_id=body.text("default_org_id"))
