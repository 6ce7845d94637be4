"""Subscriptions: each that is live at Lago is in the mirror as it is there. An upgrade keeps its place in Lago's list."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from lago_sync.client import subscriptions
from lago_sync.client.transport import Json
from lago_sync.models import LagoSubscription
from lago_sync.reconcile.kinds.kind import Found, Kind, instant, text
from lago_sync.subscriptions import plans
from orgs.models import Organization


def judge(rows: list[Json]) -> Iterator[Found]:
    """Compare live subscriptions of our organizations with the mirror."""
    live = {str(row["lago_id"]): row for row in rows if row.get("started_at")}
    owners = Organization.objects.filter(
        public_id__in={text(row.get("external_customer_id")) for row in live.values()}
    )
    by_name = {one.public_id: one for one in owners}
    known = {str(key): row for key, row in LagoSubscription.objects.in_bulk(list(live)).items()}
    for lago_id, row in live.items():
        organization, mirrored = by_name.get(text(row.get("external_customer_id"))), known.get(lago_id)
        if organization is None or (mirrored is not None and _plain(mirrored) == _shown(row)):
            continue
        yield Found(
            kind="subscription",
            subject=str(row["external_id"])[:128],
            organization=organization.public_id,
            what=_what(row, mirrored),
            repair=partial(_refresh, organization),
        )


def _what(row: Json, mirrored: LagoSubscription | None) -> str:
    if mirrored is None:
        return f"Lago has a live subscription on {row['plan_code']} that the portal has not seen"
    ours, lagos = _plain(mirrored), _shown(row)
    differ = [
        f"{name} is {lagos[name]} at Lago and {ours[name]} here" for name in ours if ours[name] != lagos[name]
    ]
    return f"Its {', '.join(differ)}"


def _shown(row: Json) -> dict[str, Any]:
    return {
        "status": row["status"],
        "plan": row["plan_code"],
        "next plan": row.get("next_plan_code") or "none",
        "end": instant(row["ending_at"]) if row.get("ending_at") else "none",
    }


def _plain(row: LagoSubscription) -> dict[str, Any]:
    return {
        "status": row.status,
        "plan": row.plan_code,
        "next plan": row.next_plan_code or "none",
        "end": row.ending_at or "none",
    }


def _refresh(organization: Organization, now: datetime) -> None:
    plans.refresh(organization=organization, now=now)


SUBSCRIPTIONS: Final = Kind(
    name="subscriptions",
    listed=lambda page: subscriptions.everyone(page=page),
    of_customer=subscriptions.of_customer,
    one=subscriptions.get,
    judge=judge,
    made_at=lambda row: instant(row.get("subscription_at") or row["created_at"]),
    overlap=None,
)
