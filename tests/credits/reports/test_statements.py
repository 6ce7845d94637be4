"""Statements of account: exact at local month bounds, by pool, against a recount of every entry and record."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest

from credits.amounts import ZERO
from credits.ledger import reconcile
from credits.models import Allocation, CreditPool, LedgerEntry, UsageRecord
from credits.reports import statements
from credits.reports.months import Month
from credits.reports.statements import Statement
from credits.sharing.allocations import Mode
from kit.errors import DomainError
from orgs.models import Department, Membership, Organization, User
from tests.factories import books
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

AUGUST, SEPTEMBER, OCTOBER = (Month.read(name) for name in ("2026-08", "2026-09", "2026-10"))


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    yield
    make.move_clock("0")


def at(moment: str) -> None:
    """Set this connection's clock of the ledger to a moment, in UTC."""
    offset = datetime.fromisoformat(moment).replace(tzinfo=UTC) - datetime.now(UTC)
    make.move_clock(f"{int(offset.total_seconds())} seconds")


def in_vienna(team: Organization) -> Organization:
    Organization.objects.filter(pk=team.pk).update(time_zone="Europe/Vienna")
    team.refresh_from_db()
    return team


def of(team: Organization, month: Month) -> dict[int, Statement]:
    since, until = month.bounds(team)
    with reconcile.snapshot():
        return statements.read(organization=team, since=since, until=until)


def recounted(team: Organization, moment: datetime) -> Decimal:
    """Add up from nothing what the organization had, used and held apart, before a moment."""
    entered = {"grant": 1, "expire": -1, "withdraw": -1}
    moved = LedgerEntry.objects.filter(organization=team, created_at__lt=moment)
    spent = UsageRecord.objects.filter(organization=team, created_at__lt=moment)
    return sum((entered.get(one.kind, 0) * one.amount for one in moved), ZERO) - sum(
        (one.credits * (-1 if one.kind == "reversal" else 1) for one in spent), ZERO
    )


def lying_in(pool: CreditPool) -> Decimal:
    """Return what a pool and the allocations from it have now, held credits too."""
    shares = Allocation.objects.filter(pool=pool)
    return pool.available + pool.held + sum((one.remaining + one.held for one in shares), ZERO)


def everything(team: Organization, choice: random.Random, steps: int, turn: Callable[[], None]) -> None:
    """Do anything that moves credits, in any order: grants, transfers, shares, charges, holds, moves, reversals."""
    departments = [make.department(team, 300), make.department(team, 300)]
    people = [make.member(team, 50, department=one) for one in (departments[0], departments[1], None)]
    charges, holds = [make.charged(team, people[0], 1)], list[UUID]()
    for step in range(steps):
        if step % (steps // 3) == steps // 3 - 1:
            turn()
        with suppress(DomainError):  # a refusal moves nothing
            act(team, choice, departments, people, charges, holds)


def act(  # noqa: C901 - a case for each kind of movement
    team: Organization,
    choice: random.Random,
    departments: list[Department],
    people: list[User],
    charges: list[UUID],
    holds: list[UUID],
) -> None:
    who, amount = choice.choice(people), choice.randint(1, 9)
    match choice.randrange(9):
        case 0:
            make.grant(team, 100 + amount, source=choice.choice(["purchase", "plan", "promotion"]))
        case 1:
            make.fund(choice.choice(departments), choice.choice([amount, -amount]))
        case 2:
            make.allocate(team, who, amount, mode=Mode.ADD)
        case 3 | 4:
            charges.append(make.charged(team, choice.choice([who, None]), amount))
        case 5:
            holds.append(make.held(team, who, 1))
        case 6 if holds:
            make.captured(holds.pop(), amount)
        case 7 if charges:
            make.reversal(charges.pop(choice.randrange(len(charges))))
        case 8:
            holds.append(make.held(team, who, 1))  # which moves along with its allocation
            where = choice.choice([*departments, None])
            Membership.objects.filter(organization=team, user=who).update(department=where)
            make.allocate(team, who, amount, mode=Mode.ADD)


@pytest.mark.parametrize("seed", [1, *(pytest.param(one, marks=pytest.mark.slow) for one in range(2, 8))])
def test_every_pool_adds_up_and_the_months_join_whatever_happened(seed, monkeypatch):
    at("2026-08-10T12:00:00")
    team = in_vienna(make.team(5000))
    moments = iter(["2026-09-10T12:00:00", "2026-10-10T12:00:00", "2026-11-05T12:00:00"])
    everything(team, random.Random(seed), 90, lambda: at(next(moments)))
    months = [of(team, month) for month in (AUGUST, SEPTEMBER, OCTOBER)]
    months.append(of(team, Month.read("2026-11")))
    for month in months:
        for statement in month.values():
            assert statement.expected == statement.closing
    for before, after in pairwise(months):
        assert {pk: one.closing for pk, one in before.items()} == {
            pk: one.opening for pk, one in after.items()
        }
    for pool in CreditPool.objects.filter(organization=team):
        assert months[-1][pool.pk].closing == lying_in(pool)
        assert months[0][pool.pk].opening == 0
    for month, found in zip((AUGUST, SEPTEMBER, OCTOBER), months, strict=False):
        whole = statements.together(found.values())
        opens, closes = (recounted(team, moment) for moment in month.bounds(team))
        assert (whole.opening, whole.closing) == (opens, closes)
        assert whole.transferred_in == whole.transferred_out == whole.moved == 0
        assert whole.expected == whole.closing
    read = statements._entries
    monkeypatch.setattr(statements, "_entries", lambda *asked: reversed(list(read(*asked))))
    assert of(team, SEPTEMBER) == months[1], "the order in which rows come must not matter"


def test_a_month_ends_at_midnight_on_the_wall():
    """Vienna leaves summer time on 25 October: the month begins at 22:00 UTC and ends at 23:00 UTC."""
    at("2026-09-20T12:00:00")
    team = in_vienna(make.team(1000))
    for moment, credits in (
        ("2026-09-30T21:59:58", 1),
        ("2026-09-30T22:00:00", 10),
        ("2026-10-31T22:59:58", 100),
        ("2026-10-31T23:00:00", 500),
    ):
        at(moment)
        make.charged(team, None, credits)
    [statement] = of(team, OCTOBER).values()
    assert (statement.opening, statement.used, statement.closing) == (999, 110, 889)


def test_each_kind_of_movement_has_its_line_and_what_is_held_is_not_used():
    at("2026-09-20T12:00:00")
    team = in_vienna(make.team(0))
    make.grant(team, 100, source="promotion")
    at("2026-10-02T12:00:00")
    make.grant(team, 1000, source="purchase", reference="bought")
    make.grant(team, 50, source="plan")
    part = make.department(team, 400)
    make.fund(part, -100)
    user = make.member(team, 200, department=part)
    make.reversal(make.charged(team, user, 30), 10)
    make.held(team, user, 5)
    own, funded = make.pool(team), make.pool(part)
    found = of(team, OCTOBER)
    assert found[own.pk] == Statement(
        opening=Decimal(100),
        grants={"purchase": Decimal(1000), "plan": Decimal(50)},
        transferred_in=Decimal(100),
        transferred_out=Decimal(400),
        closing=Decimal(850),
    )
    assert found[funded.pk] == Statement(
        transferred_in=Decimal(400),
        transferred_out=Decimal(100),
        used=Decimal(20),
        closing=Decimal(280),
        shares=Decimal(180),
    )


def test_a_reversal_after_a_member_moved_goes_back_to_the_pool_that_had_paid():
    at("2026-10-02T12:00:00")
    team = in_vienna(make.team(1000))
    part = make.department(team, 300)
    user = make.member(team, 50, department=part)
    charge = make.charged(team, user, 9)
    Membership.objects.filter(organization=team, user=user).update(department=None)
    make.allocate(team, user, 20)
    make.reversal(charge)
    own, funded = make.pool(team), make.pool(part)
    found = of(team, OCTOBER)
    assert (
        [found[pool.pk].closing for pool in (own, funded)] == [lying_in(own), lying_in(funded)] == [700, 300]
    )
    assert (found[own.pk].moved, found[funded.pk].moved) == (-9, 9)
    assert [one.expected for one in found.values()] == [one.closing for one in found.values()]
    assert of(team, Month.read("2026-11"))[funded.pk].opening == 300


def test_expiry_withdrawal_debt_and_forgiven_parts_are_in_it():
    team = books.everything()
    now = Month.of(organization=team, now=datetime.now(UTC))
    whole = statements.together(of(team, now).values())
    assert whole.withdrawn == 40
    assert whole.expected == whole.closing == recounted(team, now.bounds(team)[1])
