"""Makes credits, shares, prices and commands for tests, through the verbs of `credits`; only what matters is said at the call."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from credits.ledger import burndown, charging, expiries, grants, statements
from credits.ledger.commands import (
    CaptureHold,
    Command,
    ExpireHold,
    MakeCharge,
    Outcome,
    PlaceHold,
    Reach,
    ReleaseHold,
    Settled,
    Spender,
)
from credits.ledger.reversals import Reversed, reverse
from credits.limits import budgets
from credits.models import Allocation, Budget, CreditPool, CreditRequest, Grant, GrantBalance, Price
from credits.pricing import table
from credits.pricing.costs import Cost, CreditsCost
from credits.sharing import allocations, requests, transfers
from credits.sharing.allocations import Mode, Share
from orgs.audit.events import SYSTEM
from orgs.models import Department, Membership, Organization, Plan, Subscription, User
from tests.factories import orgs

GATEWAY = "key_gateway"
_numbers = itertools.count(1)


def team(
    credits: object = 0, *, shared_spending: str = "without_allocation", unlimited: bool = True
) -> Organization:
    """Make a team whose pool has these credits, on a plan without quotas unless it says otherwise."""
    organization = orgs.team(f"Team {next(_numbers)}")
    Organization.objects.filter(pk=organization.pk).update(shared_spending=shared_spending)
    organization.refresh_from_db()
    if unlimited:
        subscribe(organization, "enterprise")
    if Decimal(str(credits)):
        grant(organization, credits)
    return organization


def subscribe(organization: Organization, code: str) -> Subscription:
    """Put the organization on a plan, for a period that lies around now."""
    subscription, _ = Subscription.objects.update_or_create(
        organization=organization,
        ended_at=None,
        defaults={
            "plan": Plan.objects.get(code=code),
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "current_period_start": datetime(2026, 1, 1, tzinfo=UTC),
            "current_period_end": datetime(2036, 1, 1, tzinfo=UTC),
        },
    )
    return subscription


def limit_calls(organization: Organization, *, day: int | None = None, month: int | None = None) -> None:
    """Put the organization on a plan of its own with this many calls and no markup."""
    plan = Plan.objects.create(
        code=f"plan{next(_numbers)}", name="A plan", daily_calls=day, monthly_calls=month, markup_percent=0
    )
    subscribe(organization, plan.code)


def grant(
    organization: Organization,
    credits: object,
    *,
    reference: str = "",
    source: str = "promotion",
    lives: timedelta | None = None,
    **fields: Any,
) -> Grant:
    """Grant credits, which live for so long by the ledger's clock where that is said."""
    with transaction.atomic():
        return grants.grant(
            organization=organization,
            source=source,
            credits=Decimal(str(credits)),
            reference=reference or f"grant {next(_numbers)}",
            expires_at=None if lives is None else statements.clock() + lives,
            by=SYSTEM,
            **fields,
        )


def burn(organization: Organization) -> None:
    with transaction.atomic():
        burndown.burn(organization_ids=[organization.pk])


def expire_grants(organization: Organization) -> Decimal:
    with transaction.atomic():
        return expiries.expire(organization=organization)


def left(grant: Grant) -> Decimal:
    """Return what is left of the grant as of the last burn."""
    return GrantBalance.objects.get(pk=grant.pk).left


def member(
    organization: Organization, credits: object = None, *, department: Department | None = None
) -> User:
    """Make a member, with an allocation where credits are named."""
    user = orgs.member(organization, department=department).user
    if credits is not None:
        allocate(organization, user, credits)
    return user


def membership(organization: Organization, user: User) -> Membership:
    return Membership.objects.get(organization=organization, user=user)


def allocate(
    organization: Organization, user: User, credits: object, *, mode: Mode = Mode.SET, **terms: Any
) -> Allocation:
    """Give a member credits; `reset_period` and `expires_at` as `Share` has them."""
    with transaction.atomic():
        share = Share(user=user, credits=Decimal(str(credits)), mode=mode, **terms)
        return allocations.assign(organization=organization, share=share, by=SYSTEM)


def revoke(organization: Organization, user: User, *, limited: bool = True) -> Allocation:
    with transaction.atomic():
        return allocations.revoke(organization=organization, user=user, by=SYSTEM, limited=limited)


def department(organization: Organization, credits: object = 0, name: str = "") -> Department:
    """Make a department, with a pool of its own where credits are named."""
    made = orgs.department(organization, name or f"Department {next(_numbers)}")
    if Decimal(str(credits)):
        fund(made, credits)
    return made


def fund(of: Department, credits: object) -> None:
    with transaction.atomic():
        transfers.move(department=of, credits=Decimal(str(credits)), by=SYSTEM)


def ask(organization: Organization, user: User, credits: object = 10) -> CreditRequest:
    """Let a member ask for more."""
    with transaction.atomic():
        return requests.ask(
            organization=organization,
            user=user,
            credits=Decimal(str(credits)),
            reason="a test",
            by=SYSTEM,
            now=datetime.now(UTC),
        )


def price(name: str = "house-model", **fields: Any) -> Price:
    """Put a price in the table: of tokens, unless `kind` says otherwise."""
    defaults = {"kind": "tokens", "valid_from": datetime(2020, 1, 1, tzinfo=UTC)}
    made = Price.objects.create(name=name, **(defaults | fields))
    table.forget()
    return made


def spender(user: User | None = None, *, made_by: str = GATEWAY, key_id: int | None = None) -> Spender:
    return Spender(made_by=made_by, key_id=key_id, user_id=user.pk if user is not None else None)


def hold(
    organization: Organization,
    user: User | None = None,
    cost: object = 1,
    *,
    key: str = "",
    ttl: int = 600,
    **fields: Any,
) -> PlaceHold:
    """Return a command to hold."""
    by = fields.pop("by", None) or spender(user)
    defaults = {"service": "llm"}
    return PlaceHold(
        organization_id=organization.pk,
        spender=by,
        transaction_id=key or f"tx-{next(_numbers)}",
        cost=_cost(cost),
        ttl_seconds=ttl,
        **(defaults | fields),
    )


def charge(
    organization: Organization, user: User | None = None, cost: object = 1, *, key: str = "", **fields: Any
) -> MakeCharge:
    """Return a command to charge."""
    by = fields.pop("by", None) or spender(user)
    defaults = {"service": "llm"}
    return MakeCharge(
        organization_id=organization.pk,
        spender=by,
        transaction_id=key or f"tx-{next(_numbers)}",
        cost=_cost(cost),
        **(defaults | fields),
    )


def capture(
    hold_id: UUID,
    cost: object = 1,
    *,
    by: Spender | None = None,
    reach: Reach = Reach.ANY,
    organization: Organization | None = None,
) -> CaptureHold:
    return CaptureHold(
        hold_id=hold_id,
        cost=_cost(cost),
        spender=by or spender(),
        reach=reach,
        organization_id=organization.pk if organization else None,
    )


def release(
    hold_id: UUID,
    *,
    by: Spender | None = None,
    reach: Reach = Reach.ANY,
    organization: Organization | None = None,
) -> ReleaseHold:
    return ReleaseHold(
        hold_id=hold_id,
        spender=by or spender(),
        reach=reach,
        organization_id=organization.pk if organization else None,
    )


def expire(hold_id: UUID) -> ExpireHold:
    return ExpireHold(hold_id=hold_id, spender=Spender(made_by="portal"), reach=Reach.ANY)


def settle(*commands: Command) -> list[Outcome]:
    return charging.settle(commands)


def settled(command: Command) -> Settled:
    """Settle one command that must succeed; a refusal is raised."""
    outcome = charging.settle_one(command)
    if not isinstance(outcome, Settled):
        raise outcome
    return outcome


def held(organization: Organization, user: User | None = None, cost: object = 1, **fields: Any) -> UUID:
    """Place a hold that must succeed and return its id."""
    placed = settled(hold(organization, user, cost, **fields)).hold
    assert placed is not None
    return placed.pk


def charged(organization: Organization, user: User | None = None, cost: object = 1, **fields: Any) -> UUID:
    """Make a charge that must succeed and return its id."""
    made = settled(charge(organization, user, cost, **fields)).charge
    assert made is not None
    return made.id


def captured(hold_id: UUID, cost: object = 1, **fields: Any) -> Settled:
    return settled(capture(hold_id, cost, **fields))


def reversal(
    charge_id: UUID, credits: object = None, *, organization: Organization | None = None
) -> Reversed:
    with transaction.atomic():
        return reverse(
            charge_id=charge_id,
            organization_id=organization.pk if organization else None,
            credits=None if credits is None else Decimal(str(credits)),
            reason="a mistake",
            by=SYSTEM,
        )


def pool(of: Organization | Department) -> CreditPool:
    """Return the pool as it is now."""
    if isinstance(of, Department):
        return CreditPool.objects.get(department=of)
    return CreditPool.objects.get(organization=of, department=None)


def allocation(organization: Organization, user: User) -> Allocation:
    """Return the allocation as it is now."""
    return Allocation.objects.get(organization=organization, user=user)


def overdraft(organization: Organization, limit: object) -> None:
    CreditPool.objects.filter(organization=organization, department=None).update(overdraft_limit=limit)


def budget(organization: Organization, credits: object, *, is_hard: bool = True, **terms: Any) -> Budget:
    """Set a budget: hard, of the organization, for the month, unless it says otherwise (`department`, `user`, `model`)."""
    period = terms.pop("period", "month")
    with transaction.atomic():
        return budgets.create(
            organization=organization,
            subject=budgets.Subject(**terms),
            period=period,
            credits=Decimal(str(credits)),
            is_hard=is_hard,
            by=SYSTEM,
        )


def taken(budget: Budget) -> tuple[Decimal, Decimal]:
    """Return what is used and held of a budget now."""
    [state] = budgets.states_of([budget], now=statements.clock())
    return state.used, state.held


def move_clock(offset: str) -> None:
    """Move this connection's clock of the ledger, such as by `1 day`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.clock_offset', %s, false)", [offset])


@contextmanager
def later(offset: str) -> Iterator[None]:
    """Live a while later, on this connection."""
    move_clock(offset)
    try:
        yield
    finally:
        move_clock("0")


@contextmanager
def at(moment: str) -> Iterator[None]:
    """Live at this time of the ledger's clock (ISO 8601, UTC), on this connection; it runs on from there."""
    move_clock("0")
    with later(
        f"{(datetime.fromisoformat(moment).replace(tzinfo=UTC) - statements.clock()).total_seconds()} seconds"
    ):
        yield


def _cost(cost: object) -> Cost:
    return CreditsCost(Decimal(str(cost))) if isinstance(cost, (int, str, Decimal)) else cost  # type: ignore[return-value]
