"""Sharing out: set, add, lower, revoke, in bulk, and what a department's pool has to do with it (product.md §7)."""

from decimal import Decimal

import pytest
from django.db import transaction

from credits.ledger import holds
from credits.ledger.payers import InsufficientCredits
from credits.models import Allocation, LedgerEntry
from credits.sharing import allocations
from credits.sharing.allocations import AllocationInUse, Mode, Share
from kit.errors import Conflict, NotFound, ValidationError
from orgs import departments, memberships, organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def figures(team, user):
    own = make.allocation(team, user)
    return own.allocated, own.remaining, own.held, own.used


def assign_all(team, *shares):
    with transaction.atomic():
        return allocations.assign_all(
            organization=team,
            shares=[Share(user=user, credits=Decimal(credits)) for user, credits in shares],
            by=SYSTEM,
        )


class TestSet:
    def test_moves_credits_out_of_the_pool(self):
        team = make.team(100)
        user = make.member(team, 30)
        assert figures(team, user) == (30, 30, 0, 0)
        assert make.pool(team).available == 70

    def test_raises_by_the_difference(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        make.allocate(team, user, 50)
        assert figures(team, user) == (50, 40, 0, 10)
        assert make.pool(team).available == 50

    def test_lowers_and_returns_the_difference(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.allocate(team, user, 12)
        assert figures(team, user) == (12, 12, 0, 0)
        assert make.pool(team).available == 88

    def test_lowers_to_what_is_used_and_held_and_not_below(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        make.held(team, user, 5)
        make.allocate(team, user, 15)
        assert figures(team, user) == (15, 0, 5, 10)
        with pytest.raises(AllocationInUse) as caught:
            make.allocate(team, user, "14.999999")
        assert (caught.value.code, caught.value.status) == ("allocation_in_use", 409)
        assert caught.value.details == {"used": "10", "held": "5"}

    def test_of_the_same_amount_moves_nothing(self):
        team = make.team(100)
        user = make.member(team, 30)
        entries = LedgerEntry.objects.count()
        make.allocate(team, user, 30)
        assert LedgerEntry.objects.count() == entries

    def test_gives_all_that_the_pool_has_and_not_more(self):
        team = make.team(100)
        user = make.member(team, 100)
        with pytest.raises(InsufficientCredits) as caught:
            make.allocate(team, user, "100.000001")
        assert caught.value.details["limit"] | {"scope": ""} == {
            "kind": "pool",
            "scope": "",
            "needed": "0.000001",
            "remaining": "0",
            "resets_at": None,
        }
        assert figures(team, user)[0] == 100

    def test_lowers_while_the_pool_is_overdrawn(self):
        team = make.team(50)
        user = make.member(team, 30)
        make.overdraft(team, 50)
        make.captured(make.held(team, None, 20), 60)
        assert make.pool(team).available == -40
        make.allocate(team, user, 30)
        make.allocate(team, user, 10)
        assert (make.pool(team).available, figures(team, user)[0]) == (-20, 10)

    def test_writes_what_was_before_and_after(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.allocate(team, user, 40)
        event = AuditEvent.objects.filter(action="credits.allocated").order_by("sequence").last()
        assert (event.target, event.before, event.after) == (
            user.public_id,
            {"allocated": "30"},
            {"allocated": "40"},
        )

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("credits", ["-1", "NaN", "1000000001", "0.0000001"])
    def test_refuses_what_is_no_amount(self, credits, mode):
        team = make.team(100)
        user = make.member(team, 30)
        with pytest.raises(ValidationError):
            make.allocate(team, user, credits, mode=mode)
        assert figures(team, user)[0] == 30


class TestAdd:
    def test_comes_on_top(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        make.allocate(team, user, 5, mode=Mode.ADD)
        assert figures(team, user) == (35, 25, 0, 10)

    def test_opens_the_first_allocation(self):
        team = make.team(100)
        user = make.member(team)
        make.allocate(team, user, 5, mode=Mode.ADD)
        assert figures(team, user) == (5, 5, 0, 0)


class TestWhoMayHaveOne:
    def test_nobody_from_outside(self):
        team = make.team(100)
        with pytest.raises(NotFound):
            make.allocate(team, make.orgs.user(), 1)

    def test_nobody_who_left(self):
        team = make.team(100)
        user = make.member(team)
        memberships.remove(membership=make.membership(team, user), by=SYSTEM, acting_as="owner")
        with pytest.raises(NotFound):
            make.allocate(team, user, 1)

    def test_nobody_in_a_personal_organization(self):
        user = make.orgs.user()
        personal = organizations.personal_for(user=user)
        make.grant(personal, 10)
        with pytest.raises(Conflict):
            make.allocate(personal, user, 1)


class TestBulk:
    def test_gives_every_member_their_share(self):
        team = make.team(100)
        users = [make.member(team) for _ in range(3)]
        given = assign_all(team, *((user, 10) for user in users))
        assert [one.user_id for one in given] == [user.pk for user in users]
        assert make.pool(team).available == 70

    @pytest.mark.parametrize("broken", range(3))
    def test_gives_nobody_anything_when_one_fails(self, broken):
        team = make.team(100)
        users = [make.member(team) for _ in range(3)]
        shares = [(user, 200 if n == broken else 10) for n, user in enumerate(users)]
        entries, events = LedgerEntry.objects.count(), AuditEvent.objects.count()
        with pytest.raises(InsufficientCredits):
            assign_all(team, *shares)
        assert make.pool(team).available == 100
        assert not Allocation.objects.exists()
        assert (LedgerEntry.objects.count(), AuditEvent.objects.count()) == (entries, events)

    def test_refuses_one_member_twice_and_nobody_at_all(self):
        team = make.team(100)
        user = make.member(team)
        for shares in ([(user, 1), (user, 2)], []):
            with pytest.raises(ValidationError):
                assign_all(team, *shares)

    def test_refuses_all_for_one_stranger(self):
        team = make.team(100)
        with pytest.raises(NotFound):
            assign_all(team, (make.member(team), 1), (make.orgs.user(), 1))
        assert not Allocation.objects.exists()

    def test_raises_one_with_what_another_gives_back(self):
        team = make.team(100)
        first, second = make.member(team, 60), make.member(team, 40)
        assign_all(team, (first, 20), (second, 80))
        assert (figures(team, first)[0], figures(team, second)[0]) == (20, 80)


class TestRevoke:
    def test_settles_what_the_organization_owes(self):
        team = make.team(30)
        user = make.member(team, 20)
        make.captured(make.held(team, None, 10), 15)
        make.revoke(team, user)
        assert (make.pool(team).available, make.pool(team).spent) == (15, 15)

    def test_returns_all_that_is_unspent(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        make.revoke(team, user)
        assert figures(team, user) == (10, 0, 0, 10)
        assert make.pool(team).available == 90

    def test_twice_returns_it_once(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.revoke(team, user)
        make.revoke(team, user)
        assert make.pool(team).available == 100

    def test_without_an_allocation_is_not_found(self):
        team = make.team(100)
        with pytest.raises(NotFound):
            make.revoke(team, make.member(team))

    @pytest.mark.parametrize(
        "end", ["release", "expire", "capture less", "capture all", "capture more", "late"]
    )
    def test_with_an_open_hold_passes_on_what_comes_back_to_the_pool(self, end):
        team = make.team(100)
        user = make.member(team, 30)
        hold = make.held(team, user, 20, ttl=60)
        make.revoke(team, user)
        assert (make.pool(team).available, figures(team, user)) == (80, (20, 0, 20, 0))
        if end == "release":
            make.settled(make.release(hold))
        elif end in {"expire", "late"}:
            with make.later("2 minutes"):
                if end == "expire":
                    holds.expire_due()
                else:
                    make.captured(hold, 5)
        else:
            make.captured(hold, {"capture less": 5, "capture all": 20, "capture more": 25}[end])
        spent = {"capture less": 5, "capture all": 20, "capture more": 25, "late": 5}.get(end, 0)
        assert make.pool(team).available == 100 - spent
        own = make.allocation(team, user)
        assert (own.remaining, own.held) == (0, 0)

    def test_and_given_again_starts_a_new_period(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        hold = make.held(team, user, 5)
        make.revoke(team, user)
        make.allocate(team, user, 20)
        assert figures(team, user) == (20, 15, 5, 0)
        make.captured(hold, 5)
        assert figures(team, user) == (20, 15, 0, 5)
        assert make.allocation(team, user).spent == 15


class TestDepartments:
    def test_a_member_of_a_funded_department_draws_on_its_pool(self):
        team = make.team(100)
        department = make.department(team, 40)
        user = make.member(team, 30, department=department)
        assert (make.pool(department).available, make.pool(team).available) == (10, 60)
        make.revoke(team, user)
        assert make.pool(department).available == 40

    def test_a_department_gives_no_more_than_it_has(self):
        team = make.team(100)
        department = make.department(team, 40)
        with pytest.raises(InsufficientCredits) as caught:
            make.member(team, 41, department=department)
        assert caught.value.details["limit"]["scope"] == department.public_id

    def test_the_next_amount_comes_from_the_pool_that_was_funded_meanwhile(self):
        team = make.team(100)
        department = make.department(team)
        user = make.member(team, 30, department=department)
        make.fund(department, 50)
        make.allocate(team, user, 20)
        assert (make.pool(team).available, make.pool(department).available) == (50, 30)
        assert figures(team, user) == (20, 20, 0, 0)

    def test_an_addition_keeps_what_came_from_the_pool_before_it_was_funded(self):
        team = make.team(100)
        department = make.department(team)
        user = make.member(team, 10, department=department)
        make.charged(team, user, 4)
        make.fund(department, 20)
        make.allocate(team, user, 5, mode=Mode.ADD)
        assert (make.pool(team).available, make.pool(department).available) == (76, 9)
        assert figures(team, user) == (11, 11, 0, 0)

    @pytest.mark.parametrize("closed", [True, False])
    @pytest.mark.parametrize(("credits", "mode"), [(100, Mode.SET), (70, Mode.ADD)])
    def test_what_is_held_while_it_moves_to_another_pool_is_the_new_ones_from_then_on(
        self, closed, credits, mode
    ):
        team = make.team(200)
        department = make.department(team)
        user = make.member(team, 30, department=department)
        hold = make.held(team, user, 30)
        make.fund(department, 130)
        if closed:
            make.revoke(team, user)
        make.allocate(team, user, credits, mode=mode)
        assert figures(team, user) == (100, 70, 30, 0)
        assert (make.pool(team).available, make.pool(department).available) == (70, 30)
        make.settled(make.release(hold))
        make.revoke(team, user)
        assert (make.pool(team).available, make.pool(department).available) == (70, 130)

    def test_what_is_held_moves_only_to_a_pool_that_can_give_it(self):
        team = make.team(200)
        department = make.department(team)
        user = make.member(team, 30, department=department)
        make.held(team, user, 30)
        make.fund(department, 99)
        with pytest.raises(InsufficientCredits):
            make.allocate(team, user, 100)
        with pytest.raises(AllocationInUse):
            make.allocate(team, user, 29)
        assert (figures(team, user), make.pool(department).available) == ((30, 0, 30, 0), 99)

    def test_what_is_held_of_an_archived_department_comes_back_to_the_organization(self):
        team = make.team(200)
        old, new = make.department(team, 50), make.department(team, 40)
        user = make.member(team, 30, department=old)
        make.held(team, user, 30)
        departments.archive(department=old, by=SYSTEM)
        memberships.move(membership=make.membership(team, user), department=new, by=SYSTEM)
        make.allocate(team, user, 40)
        assert [make.pool(one).available for one in (team, old, new)] == [160, 0, 0]
        assert figures(team, user) == (40, 10, 30, 0)

    def test_terms_alone_leave_the_credits_in_the_pool_they_came_from(self):
        team = make.team(100)
        department = make.department(team)
        user = make.member(team, 50, department=department)
        make.charged(team, user, 20)
        make.fund(department, 10)  # less than the member has
        make.allocate(team, user, 0, mode=Mode.ADD, notes="until spring", reset_period="monthly")
        own = make.allocation(team, user)
        assert (own.pool, own.notes, own.reset_period) == (make.pool(team), "until spring", "monthly")
        assert figures(team, user) == (50, 30, 0, 20)
        assert (make.pool(team).available, make.pool(department).available) == (40, 10)

    def test_moving_a_member_returns_what_is_unspent_to_where_it_came_from(self):
        team = make.team(100)
        first, second = make.department(team, 40), make.department(team, 20)
        user = make.member(team, 30, department=first)
        memberships.move(membership=make.membership(team, user), department=second, by=SYSTEM)
        assert (make.pool(first).available, make.pool(second).available) == (40, 20)

    def test_removing_a_member_returns_what_is_unspent(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.charged(team, user, 10)
        memberships.remove(membership=make.membership(team, user), by=SYSTEM, acting_as="owner")
        assert make.pool(team).available == 90

    def test_archiving_returns_its_members_and_its_own_unspent_credits(self):
        team = make.team(100)
        department = make.department(team)
        early = make.member(team, 10, department=department)
        make.fund(department, 50)
        late = make.member(team, 20, department=department)
        make.charged(team, late, 5)
        departments.archive(department=department, by=SYSTEM)
        assert (make.pool(team).available, make.pool(department).available) == (95, 0)
        assert {make.allocation(team, user).closed_at is None for user in (early, late)} == {False}

    def test_credits_taken_back_from_a_department_are_what_it_has_unspent(self):
        team = make.team(100)
        department = make.department(team, 40)
        make.charged(team, make.member(team, department=department), 10)
        with pytest.raises(InsufficientCredits):
            make.fund(department, -31)
        make.fund(department, -30)
        assert (make.pool(team).available, make.pool(department).available) == (90, 0)

    @pytest.mark.parametrize("credits", ["0", "NaN", "1000000001", "-1000000001", "0.0000001"])
    def test_a_transfer_of_what_is_no_amount_is_refused(self, credits):
        with pytest.raises(ValidationError):
            make.fund(make.department(make.team(10)), credits)
