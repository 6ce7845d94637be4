"""How a subscription gets to another customer without a period that is billed twice or a day without a plan.

Lago has no move. It takes a subscription that began on an earlier day for paid until its period ends, and bills it first
when the next one begins (reference/lago.md §2.4). So the new one carries on the old one's periods; the old one is told
before that to end with its period, so that whatever dies in between, only one of them is ever renewed.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from lago_sync.client import invoices
from lago_sync.client.transport import Json
from lago_sync.errors import LagoIntegrationError
from lago_sync.migration import standing
from lago_sync.migration.standing import Standing
from lago_sync.subscriptions.mirror import TRIAL

CARRY_ON: Final = "carry on"
ANEW: Final = "anew"

_MARGIN: Final = timedelta(hours=1)
"""Before a period's end nothing is begun: Lago's biller could come in between."""
_TODAY: Final = "Its billing period began today"


class Waits(LagoIntegrationError):
    """It cannot be done now without billing twice, and can be later: run the migration again then."""

    code = "conflict"
    status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What becomes of one subscription, decided before anything is changed and kept.

    `carry on`: the new one began, for Lago, at `starts_at`, so that the paid period is not billed again. `anew`: the period
    began today and is not paid, so its invoices `void` are voided, and the new one is billed from today on.
    """

    kind: str
    external_id: str
    lago_id: str
    plan_code: str
    billing_time: str
    starts_at: str
    period_start: str
    period_end: str
    ending_at: str
    next_plan_code: str
    void: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return what is kept of it in the migration's row."""
        return asdict(self) | {"void": list(self.void)}

    @classmethod
    def read(cls, kept: dict[str, Any]) -> "Move":
        return cls(**{**kept, "void": tuple(kept["void"])})

    def refuse_late(self, now: datetime) -> None:
        """Raise Waits where the period is about to end."""
        if now + _MARGIN > standing.instant(self.period_end):
            raise Waits("Its billing period is about to end. Run this again tomorrow.")

    def is_over(self, now: datetime) -> bool:
        """Tell whether the customer wanted it to end by the day of `now`: then there is none to go on."""
        return bool(self.ending_at) and standing.instant(self.ending_at).date() <= now.astimezone(UTC).date()

    @property
    def stops_at(self) -> datetime:
        """When the old one's next period would begin: it ends then by itself, before that is billed."""
        return standing.instant(self.period_end) + timedelta(seconds=1)


def decide(found: Standing, *, now: datetime) -> Move | None:
    """Return how the live subscription is moved, None where there is none. Asks Lago where its period began today.

    `now` is by Lago's clock. Raises Waits.
    """
    one = found.subscription
    if one is None:
        return None
    start = standing.instant(one["current_billing_period_started_at"])
    end = standing.instant(one["current_billing_period_ending_at"])
    zone = ZoneInfo(str(found.customer.get("applicable_timezone") or "UTC"))
    began_today = start.astimezone(zone).date() >= now.astimezone(zone).date()
    is_anew = began_today or not one["plan_amount_cents"]
    move = Move(
        kind=ANEW if is_anew else CARRY_ON,
        external_id=str(one["external_id"]),
        lago_id=str(one["lago_id"]),
        plan_code=str(one["plan_code"]),
        billing_time=str(one["billing_time"]),
        starts_at="" if is_anew else _anchor(one, start, zone),
        period_start=start.isoformat(),
        period_end=end.isoformat(),
        ending_at=str(one.get("ending_at") or ""),
        next_plan_code=str(one.get("next_plan_code") or ""),
        void=tuple(_unpaid_of_period(found, one)) if began_today and one["plan_amount_cents"] else (),
    )
    move.refuse_late(now)
    if move.plan_code == TRIAL and not move.ending_at:  # a trial never renews, whoever started it
        return replace(move, ending_at=move.stops_at.isoformat())
    return move


def _anchor(one: Json, start: datetime, zone: ZoneInfo) -> str:
    """Return from when the new one counts its periods: the present one's start, if periods of that length begin there.

    They do not after an upgrade in the middle of one, nor where a month was shorter; then it is the first day of all.
    """
    first = standing.instant(one["subscription_at"])
    began, anchor = start.astimezone(zone).date(), first.astimezone(zone).date()
    is_boundary = {
        "weekly": (began - anchor).days % 7 == 0,
        "monthly": began.day == anchor.day,
    }.get(
        str((one.get("plan") or {}).get("interval")), (began.month, began.day) == (anchor.month, anchor.day)
    )
    return (start if is_boundary or one["billing_time"] != "anniversary" else first).isoformat()


def _unpaid_of_period(found: Standing, one: Json) -> list[str]:
    """Return the invoices of a period that began today; raises Waits where it is paid, or its invoice not there yet."""
    listed = standing.plan_invoices(str(found.customer["external_id"]))
    whole = [invoices.get(str(each["lago_id"])) for each in listed[:3]]
    mine = [each for each in whole if each is not None and each["status"] != "voided" and _bills(each, one)]
    if not mine:
        raise Waits(f"{_TODAY}, and Lago has not billed it yet. Run this again in a minute.")
    if any(each["payment_status"] == "succeeded" or each["credit_notes_amount_cents"] for each in mine):
        raise Waits(f"{_TODAY} and is paid. Run this again tomorrow.")
    return [str(each["lago_id"]) for each in mine]


def _bills(invoice: Json, one: Json) -> bool:
    fees = [each for each in invoice["fees"] if each["item"]["type"] == "subscription"]
    return any(each["lago_subscription_id"] == one["lago_id"] for each in fees)
