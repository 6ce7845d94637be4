"""Many migrations in one go: what would happen, doing it, and comparing both sides; one that fails stops no other."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from kit.errors import DomainError
from lago_sync import money
from lago_sync.errors import LagoUnavailable
from lago_sync.migration import purses, reports, users, verifying
from lago_sync.migration.candidates import Candidate, name_of
from lago_sync.migration.moves import CARRY_ON, Move
from lago_sync.migration.standing import Standing
from lago_sync.models import CustomerMigration
from orgs.audit.events import Actor

Line = dict[str, Any]
Progress = Callable[[int, int], None]
"""Told how many of how many are done."""

OUTLINE: tuple[str, ...] = (
    "user_id",
    "org_id",
    "org_name",
    "plan_code",
    "how",
    "wallet",
    "credits",
    "status",
    "error",
)
DONE: tuple[str, ...] = ("user_id", "org_id", "plan_code", "wallet_credits", "status", "step", "error")
_WOULD = "would move"
_BAD = ("stopped", "failed", "differs")


def outline(*, candidates: Sequence[Candidate], now: datetime, progress: Progress) -> list[Line]:
    """Return what would happen to each, and what stands in its way. Asks Lago; writes nothing."""
    lines, taken = list[Line](), set[str]()
    for number, one in enumerate(candidates, start=1):
        line = _outline(one, now)
        if one.org_id in taken and line["plan_code"] and line["status"] == _WOULD:
            line |= {"status": "stopped", "error": f"Another one of the list brings {one.org_id} its plan."}
        if one.org_id and line["plan_code"]:
            taken.add(one.org_id)
        lines.append(line)
        progress(number, len(candidates))
    return lines


def execute(*, candidates: Sequence[Candidate], by: Actor, now: datetime, progress: Progress) -> list[Line]:
    """Migrate each, and return what became of it."""
    lines = []
    for number, one in enumerate(candidates, start=1):
        lines.append(_execute(one, by, now))
        progress(number, len(candidates))
    return lines


def verify(*, candidates: Sequence[Candidate], progress: Progress) -> list[Line]:
    """Compare both sides of each migration; one that was never begun differs."""
    lines = []
    for number, one in enumerate(candidates, start=1):
        lines.append(_verify(one))
        progress(number, len(candidates))
    return lines


def begun() -> list[Candidate]:
    """Return those that earlier runs began, in their order."""
    rows = CustomerMigration.objects.order_by("pk")
    return [
        Candidate(
            external_id=one.from_external_id, org_id=one.organization_public_id if one.organization_id else ""
        )
        for one in rows
    ]


def is_bad(line: Line) -> bool:
    """Tell whether a line makes the run a failure."""
    return line["status"] in _BAD


def _outline(candidate: Candidate, now: datetime) -> Line:
    known = CustomerMigration.objects.filter(from_external_id=candidate.external_id).first()
    if known is not None and known.status == CustomerMigration.Status.DONE:
        return _blank(candidate) | reports.plain(known) | {"how": "was moved before"}
    line = _blank(candidate)
    try:
        found, move, said = users.obstacles(candidate, now=now)
    except DomainError as error:
        return line | {"status": "stopped", "error": error.message}
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return line | {"status": "stopped", "error": f"Lago answers something of another shape: {error!r}"}
    cents = {one.currency: sum(each.cents for each in found.wallets if each.currency == one.currency) for one in found.wallets}  # fmt: skip
    return line | {
        "org_name": name_of(found.customer, candidate),
        "plan_code": str(found.subscription["plan_code"]) if found.subscription else "",
        "how": _how(move),
        "wallet": ", ".join(money.display(amount, currency) for currency, amount in cents.items()),
        "credits": _credits(candidate, found) if not said else "",
        "status": "stopped" if said else _WOULD,
        "error": " ".join(said),
    }


def _credits(candidate: Candidate, found: Standing) -> str:
    whole = sum(one.cents for one in found.wallets)
    worth = [
        purses.worth(one.cents, one.currency, credits=candidate.credits, whole=whole) for one in found.wallets
    ]
    return f"{sum(worth):,f}".rstrip("0").rstrip(".") if worth else ""


def _how(move: Move | None) -> str:
    if move is None:
        return "no subscription"
    if move.kind == CARRY_ON:
        return f"billed from {move.stops_at:%Y-%m-%d} on"
    return "billed from today on" + (f", {len(move.void)} unpaid voided" if move.void else "")


def _execute(candidate: Candidate, by: Actor, now: datetime) -> Line:
    try:
        row = users.migrate(
            user_id=candidate.external_id,
            org_id=candidate.org_id,
            org_name=candidate.name,
            email=candidate.email,
            credits=candidate.credits,
            by=by,
            now=now,
        )
    except DomainError as error:
        failed = CustomerMigration.objects.filter(from_external_id=candidate.external_id).first()
        known = reports.plain(failed) if failed is not None else _blank(candidate)
        return known | {"status": "failed", "error": error.message}
    return reports.plain(row)


def _verify(candidate: Candidate) -> Line:
    rows = CustomerMigration.objects.select_related("organization")
    row = rows.filter(from_external_id=candidate.external_id).first()
    if row is None:
        return _blank(candidate) | {"status": "differs", "error": "It was not migrated."}
    try:
        said = verifying.differences(row)
    except DomainError as error:
        said = [error.message]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        said = [LagoUnavailable(f"Lago answers something of another shape: {error!r}").message]
    return reports.plain(row) | {"status": "differs" if said else "verified", "error": " ".join(said)}


def _blank(candidate: Candidate) -> Line:
    return dict.fromkeys(OUTLINE + DONE, "") | {
        "user_id": candidate.external_id,
        "org_id": candidate.org_id,
        "org_name": candidate.name,
    }
