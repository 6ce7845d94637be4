"""What the API of `orgs` answers with (contract.md §4.3)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from kit.rest.schema import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Shape):
    id: str
    slug: str
    name: str
    kind: Annotated[str, "`team` or `personal`"]
    role: Annotated[
        str | None, "the caller's; null for a key that is nobody's and for a system admin who is no member"
    ]
    plan_code: Annotated[str | None, "null without a plan"]
    is_default: Annotated[bool, "what the caller falls back to"]
    is_active: Annotated[bool, "whose money the caller's next request is"]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationDetail(Organization):
    status: Annotated[str, "`active`, `suspended` or `archived`"]
    time_zone: str
    currency: str
    shared_spending: Annotated[str, "`never`, `without_allocation` or `always`"]
    unpriced: Annotated[str, "what becomes of a request for something without a price: `refuse` or `flat`"]
    unpriced_credits: Annotated[str, "credits that `flat` charges for it"]
    billing_email: Annotated[str | None, "this and what follows: null for who may not buy"]
    legal_name: str | None
    tax_number: str | None
    billing_address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentName(Shape):
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Shape):
    user_id: str
    email: Annotated[str | None, "null for a service member"]
    name: str
    role: str
    department: DepartmentName | None
    joined_at: datetime
    last_active_at: Annotated[datetime | None, "the last sign-in or use of a key, to the minute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager(Shape):
    user_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Department(Shape):
    id: str
    name: str
    managers: list[Manager]
    members: Annotated[int, "how many"]
    pool: Annotated[dict[str, Any] | None, "null where not funded, and for who may not see it"]
    used_30_days: str | None
    budget: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Shape):
    id: str
    name: str
    kind: Annotated[str, "`membership`, `personal`, `organization` or `platform`"]
    prefix: Annotated[str, "the first characters, to recognise it by"]
    scopes: list[str]
    user_id: str | None
    allowed_addresses: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, "to the minute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey(Key):
    key: Annotated[str | None, "shown in this answer alone; null in a replayed one"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent(Shape):
    sequence: Annotated[int, "counts the organization's events, without a gap"]
    at: datetime
    actor_kind: str
    actor: Annotated[str, "public id of the user or key"]
    address: str
    action: str
    target: str
    before: dict[str, Any]
    after: dict[str, Any]
    previous_hash: str
    hash: Annotated[str, "SHA-256 over the previous hash and this event"]
    actor_name: Annotated[str | None, "what the actor is called now; null where it is not known"] = None
    target_name: Annotated[str | None, "what the target is called now; null where it is not known"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Me(Shape):
    id: Annotated[str | None, "null for a key that is nobody's"]
    email: str | None
    name: str | None
    is_system_admin: bool
    active_org_id: Annotated[str | None, "whose money the next request is"]
    default_org_id: str | None
    key: Annotated[Key | None, "the key that asks; null for a browser"]
    key_org_id: Annotated[str | None, "the organization that the key is bound to"]
