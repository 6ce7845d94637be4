"""What the API of `orgs` reads: one frozen dataclass a body, every wrong field told at once.

Here only the kind of a value is judged; what it means is judged by the verb that it goes to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Self

from kit.rest.fields import Fields
from kit.rest.schema import Shape
from orgs.access.keys import Terms
from orgs.models import AccessKey, Membership, Organization


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
    unpriced: Organization.Unpriced | None = None
    unpriced_credits: Annotated[str | None, "decimal in a string: what `flat` charges"] = None
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
