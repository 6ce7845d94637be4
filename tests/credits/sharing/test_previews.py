"""Giving many their shares: the preview is what would happen, the act is what was shown, or nothing at all."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from credits.models import Allocation, LedgerEntry
from credits.sharing import previews, reach
from credits.sharing.allocations import Mode
from credits.sharing.previews import PreviewChanged
from credits.sharing.reach import Reach
from credits.sharing.sheets import Line
from orgs import departments, memberships
from orgs.audit.events import SYSTEM
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db


def whole(team) -> Reach:
    return Reach(organization=team, managed=None)


def line(number: int, user, credits: object, *, add: bool = False, **fields) -> Line:
    return Line(
        number=number,
        user_id=user.public_id,
        credits=Decimal(str(credits)),
        mode=Mode.ADD if add else Mode.SET,
        **fields,
    )


def apply(within, lines, digest=None):
    digest = digest or previews.preview(reach=within, lines=lines).digest
    with transaction.atomic():
        return previews.apply(reach=within, lines=lines, digest=digest, by=SYSTEM)


def test_shows_before_and_after_and_the_pools_without_writing_anything():
    team = make.team(1000)
    department = make.department(team, 200)
    old, new, fed = make.member(team, 100), make.member(team), make.member(team, department=department)
    entries = LedgerEntry.objects.count()
    lines = [line(2, old, 40), line(3, new, 70, add=True), line(4, fed, 50, reset_period="monthly")]
    seen = previews.preview(reach=whole(team), lines=lines)
    assert [(one.before, one.after) for one in seen.changes] == [(100, 40), (None, 70), (None, 50)]
    assert {one.pool: (one.free, one.after) for one in seen.pools} == {
        make.pool(team): (700, 690), make.pool(department): (200, 150),
    }  # fmt: skip
    assert seen.is_clean
    assert (LedgerEntry.objects.count(), Allocation.objects.count()) == (entries, 1)
    apply(whole(team), lines)
    assert [make.allocation(team, one).allocated for one in (old, new, fed)] == [40, 70, 50]
    assert make.allocation(team, fed).reset_period == "monthly"


def test_names_every_fault_by_its_line_and_a_pool_with_too_little():
    team = make.team(100)
    user, stranger = make.member(team, 50), make.member(make.team(10), 5)
    make.charged(team, user, 30)
    other = make.member(team)
    lines = [
        line(2, user, "29.9"),
        line(3, stranger, 1),
        line(4, other, 1, expires_at=timezone.now() - timedelta(days=1)),
        replace(line(5, other, 1), email="somebody@else.example"),
        line(6, other, 1000),
        replace(line(7, other, 1), faults=["credits is empty."]),
    ]
    seen = previews.preview(reach=whole(team), lines=lines)
    said = [" ".join(one.faults) for one in seen.changes]
    for found, expected in zip(said, (
        "30 credits are used or held", "There is no member", "must lie ahead", "name different people", "Line 4 names the same",
        "credits is empty",
    ), strict=True):  # fmt: skip
        assert expected in found
    short = previews.preview(reach=whole(team), lines=[line(2, other, "50.000001")])
    [pool] = short.pools
    assert (pool.is_short, pool.needed, short.is_clean) == (True, Decimal("50.000001"), False)
    with pytest.raises(PreviewChanged):
        apply(whole(team), lines)


def test_a_manager_gives_to_the_own_department_and_nobody_else_exists():
    team = make.team(1000)
    manager = orgs.member(team)
    department = orgs.department(team, "Research", manager=manager)
    make.fund(department, 100)
    fed, elsewhere = make.member(team, department=department), make.member(team, 10)
    within = reach.of_user(user=manager.user, organization=team)
    assert within is not None
    by_email = Line(number=2, email=fed.email.upper(), credits=Decimal(60))
    seen = previews.preview(reach=within, lines=[by_email, line(3, elsewhere, 1)])
    assert [bool(one.faults) for one in seen.changes] == [False, True]
    apply(within, [by_email])
    assert make.pool(department).available == 40


@pytest.mark.parametrize("change", ["given", "lowered", "revoked", "spent above", "pool emptied"])
def test_what_changed_since_the_preview_is_refused_whole(change):
    team = make.team(1000)
    one, two = make.member(team, 100), make.member(team, 100)
    lines = [line(2, one, 30), line(3, two, 500, add=True)]
    digest = previews.preview(reach=whole(team), lines=lines).digest
    if change == "given":
        make.allocate(team, two, 200)
    elif change == "lowered":
        make.allocate(team, one, 90)
    elif change == "revoked":
        make.revoke(team, two)
    elif change == "spent above":
        make.charged(team, one, 31)
    else:
        make.charged(team, None, 600)
    entries = LedgerEntry.objects.count()
    with pytest.raises(PreviewChanged) as caught:
        apply(whole(team), lines, digest)
    assert caught.value.preview.changes[1].line == lines[1]
    assert LedgerEntry.objects.count() == entries


def test_spending_that_leaves_the_amounts_as_shown_does_not_stop_it():
    team = make.team(1000)
    one = make.member(team, 100)
    lines = [line(2, one, 150)]
    digest = previews.preview(reach=whole(team), lines=lines).digest
    make.charged(team, one, 60)
    make.charged(team, None, 10)
    apply(whole(team), lines, digest)
    assert make.allocation(team, one).remaining == 90


def test_what_one_gives_back_another_may_get_whatever_the_order():
    team = make.team(100)
    one, two = make.member(team, 100), make.member(team)
    apply(whole(team), [line(2, two, 70), line(3, one, 30)])
    assert (make.allocation(team, two).allocated, make.pool(team).available) == (70, 0)


def test_shows_what_a_move_to_another_pool_takes_with_what_is_held_of_it():
    team = make.team(200)
    old, new = make.department(team, 40), make.department(team)
    mover = make.member(team, 30, department=old)
    make.held(team, mover, 30)
    departments.archive(department=old, by=SYSTEM)
    memberships.move(membership=make.membership(team, mover), department=new, by=SYSTEM)
    keeper, other = (make.member(team, credits, department=new) for credits in (40, 50))
    make.held(team, other, 20)
    make.fund(new, 60)
    lines = [line(2, mover, 35), line(3, keeper, 0, add=True, notes="kept"), line(4, other, 25)]
    seen = apply(whole(team), lines)
    assert [one.after for one in seen.changes] == [35, 40, 25]
    assert {one.pool: one.after for one in seen.pools} == {make.pool(team): 100, make.pool(new): 0}
    assert [make.pool(one).available for one in (team, old, new)] == [100, 0, 0]


def test_the_preview_is_what_happens_to_any_mix_of_members():
    dice = random.Random(5)
    team = make.team(10_000)
    department = make.department(team, 2000)
    people = [make.member(team, dice.choice([None, 40])) for _ in range(6)]
    people += [make.member(team, dice.choice([None, 60]), department=department) for _ in range(6)]
    for user in people:
        if Allocation.objects.filter(user=user).exists():
            make.charged(team, user, dice.randint(1, 9))
            make.held(team, user, dice.randint(1, 9))
            if dice.random() < 0.4:
                make.revoke(team, user)
            elif dice.random() < 0.4:
                with transaction.atomic():
                    membership = make.membership(team, user)
                    membership.department = None if membership.department else department
                    membership.save()  # as before the move returns what is left
    for _ in range(4):
        lines = [
            line(number, user, dice.randint(20, 90), add=dice.random() < 0.5)
            for number, user in enumerate(people, start=2)
        ]
        seen = apply(whole(team), lines)
        for change in seen.changes:
            assert make.allocation(team, change.user).allocated == change.after
        for pool in seen.pools:
            pool.pool.refresh_from_db()
            assert pool.pool.available == pool.after
