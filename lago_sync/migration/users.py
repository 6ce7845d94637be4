"""Moving one user-based customer to an organization, step by step; each is seen at Lago before it is noted as done.

Whatever dies, the next run carries on behind the last noted step, and every step finds what an earlier try of it left.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import uuid4

from django.conf import settings

from credits import amounts
from kit import transactions
from kit.errors import Conflict, DomainError
from lago_sync.errors import LagoUnavailable
from lago_sync.migration import accounts, moves, moving, purses, standing
from lago_sync.migration.candidates import Candidate, email_of, name_of
from lago_sync.migration.cases import CannotMigrate, Case
from lago_sync.models import CustomerMigration
from orgs import organizations
from orgs.audit import events
from orgs.audit.events import Actor

STEPS: Final[tuple[tuple[str, Callable[[Case], None]], ...]] = (
    ("organization", accounts.settle),
    ("customer", accounts.link),
    ("stopped", moving.stop_renewals),
    ("started", moving.start),
    ("ended", moving.end),
    ("wallets", purses.move),
    ("marked", accounts.mark_left),
)
"""What is noted, and what does it."""
_UNTOUCHED: Final = ("", "organization", "customer")
"""So far nothing of the old customer was changed: a look at it still decides."""


def migrate(
    *,
    user_id: str,
    org_id: str,
    org_name: str,
    email: str,
    by: Actor,
    now: datetime,
    credits: Decimal | None = None,
) -> CustomerMigration:
    """Move a user-based customer (Lago's id of it) to an organization; done before, the same row comes back.

    Its subscription lives on under `sub_<org_id>`, paid days billed once; what is left in its wallets becomes credits,
    once. Without an `org_id` it moves to the person's own organization. `credits` says what the wallets stand for where
    their worth in money does not. Asks Lago; opens its own transactions; may be called again after any failure.
    Raises NotFound for an unknown customer, CannotMigrate or Waits for what a person or a day must see to, Conflict where
    it was moved elsewhere, ValidationError, LagoUnavailable, LagoRefused, PurchasesStopped. The row keeps what was raised.
    """
    candidate = Candidate(external_id=user_id, org_id=org_id, name=org_name, email=email, credits=credits)
    known = _known(candidate)
    if known is not None and known.status == CustomerMigration.Status.DONE:
        return known
    found = standing.look(user_id)
    row = _begin(candidate, found, by)
    case = Case(
        row=row,
        candidate=candidate,
        customer=found.customer,
        by=by,
        now=now,
        lagos_now=max(now, standing.stamped(found.customer) or now),
        run=str(row.facts["run"]),
    )
    try:
        if row.step in _UNTOUCHED:
            _check(case, found)
        for name, act in _left(row.step):
            act(case)
            case.note(step=name)
        _finish(case)
    except DomainError as error:
        _fail(case, error.message)
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        _fail(case, f"Lago answers something of another shape: {error!r}")
        raise LagoUnavailable("Lago answers something of another shape.") from error
    return row


def obstacles(
    candidate: Candidate, *, now: datetime
) -> tuple[standing.Standing, moves.Move | None, list[str]]:
    """Return what a customer has, how it would be moved, and all that stands in the way. Asks Lago; writes nothing.

    Raises NotFound, LagoUnavailable, LagoRefused.
    """
    found = standing.look(candidate.external_id)
    said = list(standing.obstacles(found, credits=candidate.credits))
    email, move = email_of(found.customer, candidate), None
    try:
        _refuse_unfit(candidate, found)
        if not said:
            move = moves.decide(found, now=max(now, standing.stamped(found.customer) or now))
            _refuse_second(candidate, move, email)
    except DomainError as error:
        said.append(error.message)
    return found, move, said


def _known(candidate: Candidate) -> CustomerMigration | None:
    """Return the migration of an earlier run; raises Conflict where that went to another organization."""
    rows = CustomerMigration.objects.select_related("organization")
    known = rows.filter(from_external_id=candidate.external_id).first()
    meant = candidate.org_id
    if known is not None and known.organization and meant and known.organization_public_id != meant:
        raise Conflict(
            f"{candidate.external_id} was moved to {known.organization_public_id}, not to {meant}."
        )
    return known


def _begin(candidate: Candidate, found: standing.Standing, by: Actor) -> CustomerMigration:
    """Return the migration's row, taken over from any other run, with what the list says now while nothing was made."""
    said = {
        "organization_public_id": candidate.org_id,
        "organization_name": name_of(found.customer, candidate),
        "plan_code": str(found.subscription["plan_code"]) if found.subscription else "",
        "currency": found.currency or settings.DEFAULT_CURRENCY,
    }
    credits = amounts.text(candidate.credits) if candidate.credits is not None else ""
    with transactions.durable():
        CustomerMigration.objects.bulk_create(
            [CustomerMigration(from_external_id=candidate.external_id, made_by=by.public_id, **said)],
            ignore_conflicts=True,
        )
        rows = CustomerMigration.objects.select_for_update(no_key=True, of=("self",))
        row = rows.select_related("organization").get(from_external_id=candidate.external_id)
        row.facts = {"currency": found.currency, "credits": credits} | row.facts | {"run": str(uuid4())}
        if row.organization is None:
            row.facts |= {"currency": found.currency, "credits": credits}
            for name, value in said.items():
                setattr(row, name, value)
        row.save(update_fields=[*said, "facts"])
    return row


def _check(case: Case, found: standing.Standing) -> None:
    """Raise CannotMigrate for all that stands in the way, before anything of this customer's is changed."""
    said = list(standing.obstacles(found, credits=case.said_credits))
    if said:
        raise CannotMigrate(" ".join(said))
    _refuse_unfit(case.candidate, found)


def _refuse_unfit(candidate: Candidate, found: standing.Standing) -> None:
    if candidate.org_id:
        organizations.checked_id(candidate.org_id)
    email = email_of(found.customer, candidate)
    organization = accounts.existing(candidate, email)
    if organization is not None:
        accounts.refuse_unfit(organization, found.currency)
    elif not email:
        raise CannotMigrate("Neither the list nor Lago has an e-mail address for it.")
    if found.customer["external_id"] == candidate.org_id:
        raise CannotMigrate("It is the organization's customer already.")


def _refuse_second(candidate: Candidate, move: moves.Move | None, email: str) -> None:
    organization = accounts.existing(candidate, email)
    public_id = organization.public_id if organization is not None else candidate.org_id
    if move is not None and public_id:
        moving.require_none(public_id)


def _left(step: str) -> tuple[tuple[str, Callable[[Case], None]], ...]:
    names = [name for name, _ in STEPS]
    return STEPS[names.index(step) + 1 :] if step in names else STEPS


def _finish(case: Case) -> None:
    row = case.row
    row.status, row.last_error, row.ended_at = CustomerMigration.Status.DONE, "", case.now
    with transactions.durable():
        if not case.mine().update(status=row.status, last_error="", ended_at=row.ended_at):
            raise CannotMigrate("Another run has taken it over.")
        events.record(
            organization=case.organization.public_id,
            by=case.by,
            action="organization.migrated",
            target=row.from_external_id,
            after={
                "plan_code": row.plan_code,
                "wallet_credits": amounts.text(row.wallet_credits),
                "wallet_cents": row.wallet_cents,
                "currency": row.currency,
            },
        )


def _fail(case: Case, why: str) -> None:
    case.row.status, case.row.last_error = CustomerMigration.Status.FAILED, why[:500]
    with transactions.durable():
        case.mine().update(status=case.row.status, last_error=case.row.last_error)
