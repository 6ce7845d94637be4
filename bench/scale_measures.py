"""The table: questions to the domain in this process, and requests to the portal's web server, one after the other."""

import itertools
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from bench import scale_world, server
from bench.scale_figures import Measure
from bench.scale_world import Place
from credits.ledger import checking, combining
from credits.ledger.commands import MakeCharge, PlaceHold, Settled, Spender
from credits.pricing.costs import CreditsCost
from credits.reports import figures, usage
from kit import transactions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Organization, User

_WARM_UPS: Final = 40
_COST: Final = CreditsCost(Decimal("0.015"), "gpt-4o", 1_500)
_LARGEST: Final = ", the one of 5,000 members"
_numbers = itertools.count()

Act = Callable[[Place], object]


class Failed(Exception):
    """The portal answered something else than was asked for."""


def run(*, n: int, port: int, folder: Path) -> list[Measure]:
    """Measure everything: organizations drawn at random, then the largest alone."""
    found = []
    for places, suffix in (
        (scale_world.places(), ""),
        (scale_world.places(largest=True), _LARGEST),
    ):
        for name, target, act in _IN_DATABASE:
            found.append(_measure("In the database", name + suffix, target, act, places, n))
    connection.close()
    with server.serving(port=port, log=folder / "gunicorn-scale.log"):
        client = _Client(port)
        for places, suffix in ((scale_world.places(), ""), (scale_world.places(largest=True), _LARGEST)):
            for name, target, act in client.questions():
                found.append(_measure("Over HTTP", name + suffix, target, act, places, n))
        name, act = client.system()
        found.append(_measure("Over HTTP", name, 200, act, scale_world.places(), n))
    return found


def _measure(place: str, name: str, target: float, act: Act, places: list[Place], n: int) -> Measure:
    measure = Measure(place, name, target)
    for number, one in enumerate(itertools.islice(itertools.cycle(places), n + _WARM_UPS)):
        begun = time.perf_counter()
        try:
            act(one)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on and the report has it
            if not measure.failures:
                print(f"    {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            measure.failures += 1
        if number >= _WARM_UPS:
            measure.seconds.append(time.perf_counter() - begun)
    print(f"bench: {name}: p95 {measure.as_json()['p95_ms']} ms", flush=True)
    return measure


def _find(place: Place) -> object:
    return Organization.objects.get(public_id=place.organization)


def _check(place: Place) -> object:
    return checking.check(
        PlaceHold(
            organization_id=place.organization_id,
            spender=Spender(made_by="bench", user_id=place.user_id),
            transaction_id=_transaction_id(),
            cost=_COST,
            service="llm",
            ttl_seconds=600,
        )
    )


def _deduct(place: Place) -> object:
    outcome = combining.submit(
        MakeCharge(
            organization_id=place.organization_id,
            spender=Spender(made_by="bench", user_id=place.user_id),
            transaction_id=_transaction_id(),
            cost=_COST,
            service="llm",
        )
    )
    if not isinstance(outcome, Settled):
        raise outcome
    return outcome


def _pool(place: Place) -> object:
    return figures.organization_figures(organization=_organization(place))


def _usage(place: Place) -> object:
    today = datetime.now(UTC).date()
    return usage.breakdown(
        organization=_organization(place), since=today - timedelta(days=29), until=today, group_by="day"
    )


def _organization(place: Place) -> Organization:
    """Return the row that a view has found already: finding it is a measure of its own."""
    return Organization(
        pk=place.organization_id, public_id=place.organization, time_zone="UTC", currency="USD"
    )


_IN_DATABASE: Final[tuple[tuple[str, float, Act], ...]] = (
    ("find the organization", 5, _find),
    ("check credits", 10, _check),
    ("deduct", 15, _deduct),
    ("pool status", 5, _pool),
    ("usage of 30 days", 50, _usage),
)


class _Client:
    """A client that asks one thing after the other on a kept-alive connection, with a platform key."""

    def __init__(self, port: int) -> None:
        scopes = [AccessKey.Scope.CREDITS_READ, AccessKey.Scope.CREDITS_WRITE, AccessKey.Scope.BILLING_READ]
        with transactions.durable():
            issued = keys.issue_platform(terms=keys.Terms(name="scale", scopes=scopes), by=SYSTEM)
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._key = {"Authorization": f"Bearer {issued.text}", "Content-Type": "application/json"}
        self._admin = {"Cookie": f"sessionid={_session_of_an_admin()}"}

    def questions(self) -> list[tuple[str, float, Act]]:
        """Return what is asked about an organization."""
        path = "/api/v1/org-billing/credits/"
        return [
            ("GET /credits/{org}", 50, lambda one: self._ask("GET", path + one.organization)),
            ("POST /credits/{org}/allocate", 100, self._allocate),
            (
                "GET /credits/{org}/usage?days=30",
                100,
                lambda one: self._ask("GET", f"{path}{one.organization}/usage?days=30"),
            ),
        ]

    def system(self) -> tuple[str, Act]:
        """Return what asks for the figures of the whole system: the API's, or the page's where the API has none yet."""
        path = "/api/v1/org-billing/billing/system"
        allowed = [one for one in (self._key, self._admin) if self._status("GET", path, one) == 200]
        if allowed:
            return "GET /billing/system", lambda _: self._ask("GET", path, headers=allowed[0])
        return (
            "GET /system/ (page; the API has no /billing/system yet)",
            lambda _: self._ask("GET", "/system/", headers=self._admin),
        )

    def _allocate(self, place: Place) -> object:
        body = json.dumps({"user_id": place.user, "credits": "0.5", "mode": "add"})
        path = f"/api/v1/org-billing/credits/{place.organization}/allocate"
        return self._ask("POST", path, body=body)

    def _ask(
        self, method: str, path: str, *, body: str | None = None, headers: dict[str, str] | None = None
    ) -> int:
        status = self._status(method, path, headers or self._key, body)
        if status not in (200, 201):
            raise Failed(f"{method} {path} answered {status}")
        return status

    def _status(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> int:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def _session_of_an_admin() -> str:
    """Sign a system admin in as the sign-in page would, and return the cookie."""
    admin, _ = User.objects.get_or_create(
        email="admin@scale.example", defaults={"name": "Admin", "is_staff": True, "is_superuser": True}
    )
    session = SessionStore()
    session[SESSION_KEY] = str(admin.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = admin.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def _transaction_id() -> str:
    return f"scale-{os.getpid()}-{next(_numbers)}"
