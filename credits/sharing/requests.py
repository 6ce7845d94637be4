"""Requests for credits: a member asks for more, who may allocate from their pool approves, changes or declines (product.md §7)."""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from credits import amounts
from credits.amounts import ZERO
from credits.models import Allocation, CreditRequest
from credits.reports import figures, forecast
from credits.sharing import allocations, reach
from credits.sharing.allocations import Mode, Share
from kit import transactions
from kit.errors import AlreadyExists, Conflict, PermissionDenied, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department, Membership, Organization, User
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

LONGEST: Final = 500
"""Characters of a reason and of an answer."""
_Status = CreditRequest.Status


class NotWaiting(Conflict):
    """The request was decided or withdrawn before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a form shows of a member: what is left, the pace, how long it lasts, and where the period will end.

    Amounts are text, None where there is none to speak of; `runway_days` only says something while `runway_state` is
    *known*, `expected` while `forecast_state` is. Dates are the organization's.
    """

    payer: str
    allocated: str | None
    used: str | None
    held: str | None
    remaining: str | None
    a_day: str | None
    runway_days: int | None
    runway_state: str
    period_until: str
    period_used: str
    expected: str | None
    forecast_state: str


def evidence(*, organization: Organization, user: User, now: datetime) -> Evidence:
    """Return how a member stands."""
    own = figures.member_figures(organization=organization, user=user)
    outlook = forecast.of_member(organization=organization, user=user, now=now)
    return Evidence(
        payer=own.payer,
        allocated=_text(own.allocated),
        used=_text(own.used),
        held=_text(own.held),
        remaining=_text(own.remaining),
        a_day=_text(outlook.runway.a_day),
        runway_days=outlook.runway.days,
        runway_state=outlook.runway.state.value,
        period_until=outlook.forecast.until.isoformat(),
        period_used=amounts.text(outlook.forecast.used),
        expected=_text(outlook.forecast.expected),
        forecast_state=outlook.forecast.state.value,
    )


def ask(
    *, organization: Organization, user: User, credits: Decimal, reason: str, by: Actor, now: datetime
) -> CreditRequest:
    """Ask for credits on top of what the member has, with the evidence of this moment; who may give them is told.

    Raises AlreadyExists while another one waits, PermissionDenied for who is no member, Conflict in a personal
    organization, where nobody could give them.
    """
    transactions.require()
    membership = _member(organization, user.pk)
    if membership is None:
        raise PermissionDenied("Only members ask for credits.")
    if organization.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has no allocations; its pool pays.")
    reason = _line(reason, "reason")
    if not reason:
        raise ValidationError(reason="is needed")
    _refuse_amount(credits)
    waiting = CreditRequest.objects.filter(organization=organization, user=user, status=_Status.PENDING)
    if waiting.exists():
        raise AlreadyExists("A request of yours is waiting already; withdraw it first to ask for another.")
    made = CreditRequest.objects.create(
        organization=organization,
        user=user,
        department=_asked_department(membership),
        credits=credits,
        reason=reason,
        evidence=asdict(evidence(organization=organization, user=user, now=now)),
        created_at=now,
    )
    _tell_allocators(made)
    _record(made, by, "request.made", after={"credits": amounts.text(credits), "reason": reason})
    return made


def approve(
    *, request: CreditRequest, by: Actor, now: datetime, credits: Decimal | None = None, answer: str = ""
) -> tuple[CreditRequest, Allocation]:
    """Add what was asked for, or another amount, to the member's allocation; the member is told.

    Raises NotWaiting for a decided one, NotFound for a member who left, InsufficientCredits where the pool has too little.
    """
    locked = _lock(request)
    given = locked.credits if credits is None else credits
    _refuse_amount(given)
    locked.given = given
    _decide(locked, _Status.APPROVED, by=by, now=now, answer=answer)
    _tell_member(locked)
    share = Share(user=locked.user, credits=given, mode=Mode.ADD)
    allocation = allocations.assign(organization=locked.organization, share=share, by=by)
    _record(locked, by, "request.approved", after={"credits": amounts.text(given), "answer": locked.answer})
    return locked, allocation


def decline(*, request: CreditRequest, by: Actor, now: datetime, answer: str = "") -> CreditRequest:
    """Give nothing; the member is told, with the answer. Raises NotWaiting for a decided one."""
    locked = _lock(request)
    _decide(locked, _Status.DECLINED, by=by, now=now, answer=answer)
    _tell_member(locked)
    _record(locked, by, "request.declined", after={"answer": locked.answer})
    return locked


def withdraw(*, request: CreditRequest, by: Actor, now: datetime) -> CreditRequest:
    """Take back one's own request. Raises NotWaiting for a decided one."""
    locked = _lock(request)
    _decide(locked, _Status.WITHDRAWN, by=by, now=now)
    _record(locked, by, "request.withdrawn")
    return locked


def withdraw_of_leaver(*, organization: Organization, user: User, by: Actor, now: datetime) -> None:
    """Take back what a member who leaves still waits for; their membership is locked."""
    transactions.require()
    rows = CreditRequest.objects.select_for_update(no_key=True).filter(
        organization=organization, user=user, status=_Status.PENDING
    )
    for row in rows:
        _decide(row, _Status.WITHDRAWN, by=by, now=now, answer="Left the organization.")
        _record(row, by, "request.withdrawn")


def find(*, organization: Organization, request_id: UUID) -> CreditRequest | None:
    """Return a request of the organization."""
    rows = CreditRequest.objects.select_related("user", "organization", "department")
    return rows.filter(organization=organization, pk=request_id).first()


def _lock(request: CreditRequest) -> CreditRequest:
    """Lock the member, then the request: the order in which somebody who leaves takes their request back."""
    transactions.require()
    _member(request.organization, request.user_id)
    rows = CreditRequest.objects.select_for_update(no_key=True, of=("self",))
    locked = rows.select_related("user", "organization", "department").get(pk=request.pk)
    if locked.status != _Status.PENDING:
        raise NotWaiting(f"This request was {locked.status} before.", status=locked.status)
    return locked


def _member(organization: Organization, user_id: UUID) -> Membership | None:
    rows = Membership.objects.live().select_for_update(no_key=True, of=("self",)).select_related("department")
    found: Membership | None = rows.filter(organization=organization, user_id=user_id).first()
    return found


def _asked_department(membership: Membership) -> Department | None:
    """Return the department whose pool would give; None is the organization's own."""
    fed = reach.fed_by_department(Membership.objects.filter(pk=membership.pk)).exists()
    return membership.department if fed else None


def _decide(
    row: CreditRequest, status: CreditRequest.Status, *, by: Actor, now: datetime, answer: str = ""
) -> None:
    row.status, row.decided_at, row.decided_by = status, now, by.public_id
    row.answer = _line(answer, "answer")
    row.save(update_fields=["status", "given", "decided_at", "decided_by", "answer"])


def _refuse_amount(credits: Decimal) -> None:
    if credits <= ZERO or not amounts.is_movable(credits):
        raise ValidationError(credits="must be above 0, and at most 1,000,000,000")


def _line(text: str, name: str) -> str:
    line = " ".join(text.split())
    if len(line) > LONGEST:
        raise ValidationError(**{name: f"must have at most {LONGEST} characters"})
    return line


def _tell_allocators(row: CreditRequest) -> None:
    told = [one for one in audience.allocators(row.organization, row.department) if one.pk != row.user_id]
    notices.once(
        kind=Kind.REQUEST_MADE,
        subject=row.user.public_id,
        crossing=str(row.pk),
        to=told,
        organization=row.organization,
        title=f"{row.user.name or row.user.email} asks for {amounts.display(row.credits)} credits",
        lines=[f"Reason: {row.reason}", *_sentences(row.evidence)],
        action="Decide",
        path=_path(row),
    )


def _tell_member(row: CreditRequest) -> None:
    if row.status == _Status.APPROVED:
        title = f"You were given {amounts.display(row.given or ZERO)} credits in {row.organization.name}"
        changed = row.given != row.credits
        lines = [f"You had asked for {amounts.display(row.credits)}."] if changed else ["As you had asked."]
    else:
        title = f"Your request for credits in {row.organization.name} was declined"
        lines = [f"You had asked for {amounts.display(row.credits)}. You may ask again."]
    notices.once(
        kind=Kind.REQUEST_DECIDED,
        subject=row.user.public_id,
        crossing=str(row.pk),
        to=[row.user],
        organization=row.organization,
        title=title,
        lines=[*lines, f"Answer: {row.answer}"] if row.answer else lines,
        action="See the request",
        path=_path(row),
        level="success" if row.status == _Status.APPROVED else "info",
    )


def _sentences(facts: dict[str, Any]) -> list[str]:
    """Return the evidence as sentences, what is not known left out."""
    found = []
    if facts["remaining"] is not None:
        left, given = (
            amounts.display(Decimal(facts["remaining"])),
            amounts.display(Decimal(facts["allocated"])),
        )
        found.append(f"{left} of {given} credits are left.")
    if facts["a_day"] is not None:
        pace = f"Uses {amounts.display_short(Decimal(facts['a_day']))} credits a day"
        lasts = (
            f"; what is left lasts {facts['runway_days']} days." if facts["runway_days"] is not None else "."
        )
        found.append(pace + lasts)
    return found


def _path(row: CreditRequest) -> str:
    return f"/orgs/{row.organization.slug}/requests/"


def _record(row: CreditRequest, by: Actor, action: str, *, after: dict[str, Any] | None = None) -> None:
    events.record(
        organization=row.organization.public_id,
        by=by,
        action=action,
        target=row.user.public_id,
        after={"request": str(row.pk), **(after or {})},
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amounts.text(amount)
