"""Rebuilding: the figures that are kept beside the books, computed anew from entries, holds and usage records.

What is rebuilt: balances of pools, allocations and grants, open shortfalls, what is taken of hard budgets, and the daily
use that pages read. Books that are sound stay as they are, to the byte (reliability.md I24). Entries and usage records
are never written here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.db import connection

from credits.ledger import burndown, payers
from credits.models import Allocation, BudgetUsage, CreditPool, DailyUsage, GrantBalance, Shortfall
from kit import transactions
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

_CACHES: Final = Path(__file__).parent / "caches"
_MOST_AUDITED: Final = 100
"""Differences that the audit event names; it counts all."""
_GRAIN: Final = ("organization_id", "day", "department_id", "user_id", "service", "provider", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row whose figures are not what the books say. `stored` is None where it is missing, `rebuilt` where none belongs."""

    cache: str
    subject: str
    key: str
    stored: str | None
    rebuilt: str | None

    def __str__(self) -> str:
        stored, rebuilt = _figures(self.stored), _figures(self.rebuilt)
        changed = sorted({*stored, *rebuilt}, key=list({**rebuilt, **stored}).index)
        parts = [
            f"{name} {stored.get(name, 'missing')} → {rebuilt.get(name, 'none')}"
            for name in changed
            if stored.get(name) != rebuilt.get(name)
        ]
        return f"{self.subject}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class _Cache:
    """A table of figures: what its rows are found by, which figures are rebuilt, and what a missing row needs beside."""

    table: str
    key: dict[str, str]
    figures: dict[str, str]
    beside: dict[str, str]
    """Columns of a row that is made anew; empty where rows are never made or removed here."""


_AMOUNT: Final = "numeric"
_TABLES: Final = {
    "pools": _Cache(
        "credits_creditpool",
        {"id": "bigint"},
        dict.fromkeys(("available", "held", "spent"), _AMOUNT),
        {},
    ),
    "allocations": _Cache(
        "credits_allocation",
        {"id": "bigint"},
        dict.fromkeys(("remaining", "held", "used", "spent"), _AMOUNT),
        {},
    ),
    "grants": _Cache(
        "credits_grantbalance",
        {"grant_id": "uuid"},
        dict.fromkeys(("credits", "consumed", "expired", "withdrawn"), _AMOUNT),
        {"organization_id": "bigint", "expires_at": "timestamptz"},
    ),
    "shortfalls": _Cache(
        "credits_shortfall",
        {"charge_id": "uuid"},
        dict.fromkeys(("amount", "settled", "forgiven"), _AMOUNT),
        {"organization_id": "bigint", "created_at": "timestamptz"},
    ),
    "budgets": _Cache(
        "credits_budgetusage",
        {"budget_id": "bigint", "starts_on": "date"},
        dict.fromkeys(("used", "held"), _AMOUNT),
        {"organization_id": "bigint"},
    ),
    "rollups": _Cache(
        "credits_dailyusage",
        dict(zip(_GRAIN, ("bigint", "date", "bigint", "uuid", "text", "text", "text"), strict=True)),
        {"requests": "bigint", "tokens": "bigint", "credits": _AMOUNT},
        {},
    ),
}


def differences(*, organization: Organization) -> list[Difference]:
    """Return every row that differs from what the books say, as this transaction sees them.

    Its queries must see one moment: call it on a snapshot (`reconcile.snapshot`), as `rebuild` does under its locks.
    """
    transactions.require()
    found: list[Difference] = []
    with connection.cursor() as cursor:
        for cache in _TABLES:
            cursor.execute((_CACHES / f"{cache}.sql").read_text(), {"organization": organization.pk})
            found += [
                Difference(cache=cache, subject=subject, key=key, stored=stored, rebuilt=rebuilt)
                for subject, key, stored, rebuilt in cursor.fetchall()
            ]
    return found


def rebuild(*, organization: Organization, by: Actor) -> list[Difference]:
    """Lock the organization's figures, write those that differ from the books, audit it, and return what was written.

    What is spent according to the books is assigned to grants afterwards, as every minute.

    Nobody of the organization spends meanwhile: requests wait, and are told to try again after `lock_timeout`. Doing it
    again writes nothing. Raises IntegrityError where the books themselves say what a constraint refuses: no cache is at
    fault then, and nothing is written.
    """
    transactions.require()
    _lock(organization)
    found = differences(organization=organization)
    for cache, table in _TABLES.items():
        _write(table, [one for one in found if one.cache == cache])
    if found:
        burndown.burn(organization_ids=[organization.pk])
        named = found[:_MOST_AUDITED]
        events.record(
            organization=organization.public_id,
            by=by,
            action="balances.rebuilt",
            target=organization.public_id,
            before={one.subject: _figures(one.stored) for one in named},
            after={one.subject: _figures(one.rebuilt) for one in named} | {"differences": len(found)},
        )
    return found


def _lock(organization: Organization) -> None:
    """Take every row that is rebuilt, in the ledger's order: payers, budgets, grants, shortfalls, rollups by key.

    A request that costs nothing locks no payer, but its rollup: what it adds is seen whole, or not yet at all.
    """
    refs = [
        ("pool", key)
        for key in CreditPool.objects.filter(organization=organization).values_list("pk", flat=True)
    ] + [
        ("allocation", key)
        for key in Allocation.objects.filter(organization=organization).values_list("pk", flat=True)
    ]
    payers.lock(refs)
    for rows, order in (
        (BudgetUsage.objects.all(), ["budget_id", "starts_on"]),
        (GrantBalance.objects.all(), ["grant_id"]),
        (Shortfall.objects.all(), ["pk"]),
        (DailyUsage.objects.all(), list(_GRAIN)),
    ):
        locked = rows.select_for_update(no_key=True, of=("self",)).filter(organization=organization)
        for _ in locked.order_by(*order).values_list("pk", flat=True).iterator(chunk_size=5_000):
            pass


def _write(table: _Cache, found: Iterable[Difference]) -> None:
    wrong = [one for one in found if one.stored is not None and one.rebuilt is not None]
    missing = [one for one in found if one.stored is None]
    surplus = [one for one in found if one.rebuilt is None]
    _run(_update(table), wrong)
    _run(_insert(table), missing)
    _run(_delete(table), surplus)


def _run(sql: str, found: list[Difference]) -> None:
    """Run a statement over the key and the rebuilt figures of each, which stay text on their way: no float touches them."""
    if not found:
        return
    rows = ", ".join(f"{one.key[:-1]}, {one.rebuilt[1:]}" if one.rebuilt else one.key for one in found)
    with connection.cursor() as cursor:
        cursor.execute(sql, [f"[{rows}]"])


def _update(table: _Cache) -> str:
    figures = ", ".join(f"{name} = v.{name}" for name in table.figures)
    return f"UPDATE {table.table} AS t SET {figures} FROM {_values(table)} WHERE {_match(table)}"  # noqa: S608 - names of this module


def _insert(table: _Cache) -> str:
    """Return what makes missing rows; where a request made one a moment ago, what it added stays."""
    columns = ", ".join((*table.key, *table.beside, *table.figures))
    added = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in table.figures)
    return (
        f"INSERT INTO {table.table} AS t ({columns}) SELECT {columns} FROM {_values(table)}"  # noqa: S608
        f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {added}"
    )


def _delete(table: _Cache) -> str:
    return f"DELETE FROM {table.table} AS t USING {_values(table)} WHERE {_match(table)}"  # noqa: S608


def _values(table: _Cache) -> str:
    typed = {**table.key, **table.beside, **table.figures}
    columns = ", ".join(f"{name} {kind}" for name, kind in typed.items())
    return f"jsonb_to_recordset(%s::jsonb) AS v({columns})"


def _match(table: _Cache) -> str:
    return " AND ".join(f"t.{name} = v.{name}" for name in table.key)


def _figures(values: str | None) -> dict[str, Any]:
    """Return the figures as text, each as the column would show it."""
    read = json.loads(values or "{}", parse_float=Decimal, parse_int=Decimal)
    return {name: str(value) for name, value in read.items()}
