"""A client of the API, a small organization to call it about, and a look at every table at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from orgs.models import Department, Organization, User
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.remembered import Remembered

V1: Final = "/api/v1"
MODEL: Final = "test-model"
"""0.01 credits an input token, 0.02 an output token, before markup."""

_LEFT_OUT: Final = ("django_session", "django_migrations", "usersessions_usersession", "credits_refusal")
"""What a refused request may write: who signed in, and that it was refused."""


class Http(Client):
    """Speaks JSON as a key or as a person's browser session; an error of the server is an answer, not an exception."""

    def __init__(self, *, key: str = "", user: User | None = None, csrf: bool = False) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(enforce_csrf_checks=csrf, headers=headers, raise_request_exception=False)
        if user is not None:
            self.force_login(user)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send JSON; `headers` as X_Organization="org_…"."""
        raw = b"" if body is None else json.dumps(body).encode()
        return self.raw(method, path, raw, **headers)

    def raw(
        self, method: str, path: str, body: bytes = b"", *, kind: str = "application/json", **headers: str
    ) -> Any:
        """Send bytes as they are."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.generic(method, f"{V1}{path}", body, content_type=kind, headers=given)

    def ask(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Any:  # type: ignore[override]
        return self.send("POST", path, body, **headers)


@dataclass
class Scene:
    """A team of one of each role with 1,000 credits, on `enterprise` (no quotas, 10 % markup), and strangers."""

    org: Organization
    people: dict[str, User]
    other: Organization
    department: Department
    keys: dict[str, str] = field(default_factory=dict)

    def http(self, who: str = "", **options: Any) -> Http:
        """Return a client of a person (by role) in a browser, or of nobody."""
        return Http(user=self.people[who] if who else None, **options)

    def key(self, kind: str, *scopes: str, who: str = "member") -> Http:
        """Return a client with a new key: membership and personal ones are those of `who`."""
        return Http(key=self.key_text(kind, *scopes, who=who))

    def key_text(self, kind: str, *scopes: str, who: str = "member") -> str:
        if kind == "platform":
            return orgs.platform_key(*scopes).text
        if kind == "organization":
            return orgs.organization_key(self.org, *scopes).text
        if kind == "personal":
            return orgs.personal_key(self.people[who], *scopes).text
        return orgs.membership_key(make.membership(self.org, self.people[who]), *scopes).text

    def id_of(self, who: str) -> str:
        return self.people[who].public_id

    @property
    def credits(self) -> str:
        """Return the path of the organization's credits."""
        return f"/org-billing/credits/{self.org.public_id}"


def scene() -> Scene:
    """Return the scene, made once and then put back."""
    return _remembered.get()


def _scene() -> Scene:
    """Make the scene: `member` has 100 credits of the organization, `colleague` 50, the department 200 of which its `engineer` has 80."""
    org = make.team(1000)
    people = {role: orgs.member(org, role).user for role in ("admin", "billing_admin")}
    people["owner"] = org.memberships.get(role="owner").user
    people["member"] = make.member(org, 100)
    people["colleague"] = make.member(org, 50)
    people["poolspender"] = make.member(org)
    manager = orgs.member(org)
    department = orgs.department(org, "Research", manager=manager)
    make.fund(department, 200)
    people["manager"] = manager.user
    people["engineer"] = make.member(org, 80, department=department)
    people["system_admin"] = orgs.system_admin()
    other = make.team(500)
    people["outsider"] = make.member(other, 70)
    make.price(MODEL, input_price=Decimal("0.0001"), output_price=Decimal("0.0002"), provider="acme")
    return Scene(org, people, other, department)


_remembered = Remembered(_scene)


def books() -> dict[str, tuple[int, str]]:
    """Return the number and a digest of the rows of every table, sessions and times of last use left out."""
    with connection.cursor() as cursor:
        tables = [one for one in connection.introspection.table_names(cursor) if one not in _LEFT_OUT]
        cursor.execute(" UNION ALL ".join(_DIGEST.format(table=table) for table in tables))
        return {name: (count, digest) for name, count, digest in cursor.fetchall()}


_DIGEST: Final = (
    "SELECT '{table}', count(*), md5(coalesce(string_agg(r, '|' ORDER BY r), '')) "
    "FROM (SELECT (to_jsonb(t) - 'last_used_at' - 'last_login')::text AS r FROM {table} t) x"
)


@contextmanager
def undone() -> Iterator[None]:
    """Take back what was written inside, with no atomic block of its own, which durable entry points would refuse."""
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)


def error_of(answer: HttpResponse) -> dict[str, Any]:
    """Return the inside of an error, having looked that it has the one shape and nothing else."""
    body = json.loads(answer.content)
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"code", "message", "details"}, body
    inside: dict[str, Any] = body["error"]
    return inside


def refused(answer: HttpResponse, status: int, code: str = "") -> dict[str, Any]:
    """Check a refusal and return its details."""
    assert answer.status_code == status, answer.content
    inside = error_of(answer)
    if code:
        assert inside["code"] == code, inside
    details: dict[str, Any] = inside["details"]
    return details


def done(answer: HttpResponse, status: int = 200) -> Any:
    """Check a success and return its body."""
    assert answer.status_code == status, answer.content
    return json.loads(answer.content)
