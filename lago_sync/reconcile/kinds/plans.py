"""Plans: their prices and intervals are Lago's; those that are gone there are offered no more."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from lago_sync.client import catalogue as lago
from lago_sync.client.transport import Json
from lago_sync.models import LagoPlan
from lago_sync.reconcile.kinds.kind import Found, Kind, instant
from lago_sync.subscriptions import catalogue
from lago_sync.subscriptions.periods import A_YEAR


def judge(rows: list[Json]) -> Iterator[Found]:
    """Compare plans with the mirror."""
    known = LagoPlan.objects.in_bulk([row["code"] for row in rows])
    for row in rows:
        mirrored = known.get(row["code"])
        if row.get("interval") not in A_YEAR or (mirrored is not None and _plain(mirrored) == _shown(row)):
            continue
        yield Found(
            kind="plan",
            subject=row["code"],
            organization="",
            what=_what(row, mirrored),
            repair=_refresh,
        )


def _what(row: Json, mirrored: LagoPlan | None) -> str:
    if mirrored is None:
        return f"Lago has plan {row['code']}, which the portal has not seen"
    ours, lagos = _plain(mirrored), _shown(row)
    differ = [
        f"{name} is {lagos[name]} at Lago and {ours[name]} here" for name in ours if ours[name] != lagos[name]
    ]
    return f"Plan {row['code']}: {', '.join(differ)}"


def _shown(row: Json) -> dict[str, Any]:
    return {
        "name": str(row["name"])[:120],
        "price": f"{row['amount_cents']} {row['amount_currency']} {row['interval']}",
        "offer": not row.get("pending_deletion", False),
    }


def _plain(row: LagoPlan) -> dict[str, Any]:
    return {
        "name": row.name,
        "price": f"{row.amount_cents} {row.currency} {row.interval}",
        "offer": row.is_offered,
    }


def _refresh(now: datetime) -> None:
    catalogue.refresh(now=now)


def _of_nobody(_public_id: str) -> Iterator[Json]:
    return iter([])


PLANS: Final = Kind(
    name="plans",
    listed=lambda page: lago.plans(page=page),
    of_customer=_of_nobody,
    one=lago.plan,
    judge=judge,
    made_at=lambda row: instant(row["created_at"]),
    overlap=None,
)
