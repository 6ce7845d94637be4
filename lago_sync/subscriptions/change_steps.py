"""What Lago is sent for a change of plan: one request a step, each of which may be repeated."""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Final

from lago_sync.client import subscriptions as at_lago
from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.subscriptions import mirror

Kind = PlanChange.Kind


def take(change: PlanChange, row: LagoSubscription | None) -> None:
    """Take the next step of a change from what Lago shows (None: nothing live). Raises LagoUnavailable, LagoRefused."""
    _STEPS[Kind(change.kind)](change, row)


def _change_up(change: PlanChange, row: LagoSubscription | None) -> None:
    """Change the plan; then let go of the end that a trial hands down to what follows it."""
    if row is not None and row.plan_code == change.plan_code:
        at_lago.update(row.external_id, {"ending_at": None})
    else:
        _change_down(change, row)


def _change_down(change: PlanChange, row: LagoSubscription | None) -> None:
    external_id = row.external_id if row is not None else mirror.external_id(change.organization)
    at_lago.create(
        {
            "external_customer_id": change.organization.public_id,
            "external_id": external_id,
            "plan_code": change.plan_code,
        }
    )


def _cancel(change: PlanChange, row: LagoSubscription | None) -> None:
    """Drop a planned downgrade, then plan the end for the day after the period, which Lago sees to before it bills."""
    if row is None:
        return
    if row.next_plan_code:
        at_lago.cancel_pending(row.external_id)
        return
    ends_at = (row.period_end.replace(microsecond=0) + timedelta(seconds=1)).astimezone(UTC)
    at_lago.update(
        row.external_id,
        {"ending_at": ends_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "on_termination_credit_note": "skip"},
    )


def _take_back(change: PlanChange, row: LagoSubscription | None) -> None:
    if row is None:
        return
    if row.next_plan_code:
        at_lago.cancel_pending(row.external_id)
    else:  # a later upgrade gives back unused days again
        at_lago.update(row.external_id, {"ending_at": None, "on_termination_credit_note": "credit"})


_STEPS: Final[dict[PlanChange.Kind, Callable[[PlanChange, LagoSubscription | None], None]]] = {
    Kind.UPGRADE: _change_up,
    Kind.DOWNGRADE: _change_down,
    Kind.CANCEL: _cancel,
    Kind.TAKE_BACK: _take_back,
}
