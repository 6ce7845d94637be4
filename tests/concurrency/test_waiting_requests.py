"""What changes while a request waits for its payer's lock counts when it has it (I19); and how long anybody waits."""

import time
from threading import Thread

import pytest
from django.utils import timezone

from credits.ledger import charging, combining, payers, standing
from credits.ledger.commands import Settled
from credits.models import QuotaUsage, TransactionKey, UsageRecord
from kit.errors import TryAgain
from orgs import memberships, organizations
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import User
from tests.concurrency.racing import in_another_session, race, tally, wait_for_a_lock
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

ways = pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])


def lock_pool(organization):
    payers.lock([("pool", make.pool(organization).pk)])


def outcome_of(settle, command, change, organization):
    """Let the command wait for the pool, change something meanwhile, and return how it ended."""
    found = []

    def locked_and_changed():
        lock_pool(organization)
        change()

    with in_another_session(locked_and_changed) as commit:
        waiting = Thread(target=lambda: found.extend(race([lambda: settle(command)])))
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    return found[0]


def nothing_moved(team):
    assert (make.pool(team).available, make.pool(team).held) == (100, 0)
    assert not UsageRecord.objects.exists()
    assert not TransactionKey.objects.exists()


@pytest.fixture
def team():
    return make.team(100)


@pytest.fixture
def member(team):
    return make.membership(team, make.member(team))


@ways
@pytest.mark.parametrize("command", [make.hold, make.charge])
class TestARequestThatWaits:
    def test_is_refused_when_its_key_is_revoked_meanwhile(self, settle, command, team, member):
        key = make.orgs.membership_key(member).key
        by = make.spender(member.user, key_id=key.pk)
        waiting = command(team, member.user, 5, by=by)
        outcome = outcome_of(settle, waiting, lambda: keys.revoke(key=key, by=SYSTEM), team)
        assert (outcome.code, outcome.status) == ("unauthorized", 401)
        nothing_moved(team)

    def test_is_refused_when_its_member_is_removed_meanwhile(self, settle, command, team, member):
        def remove():
            memberships.remove(membership=member, by=SYSTEM, acting_as="owner")

        outcome = outcome_of(settle, command(team, member.user, 5), remove, team)
        assert (outcome.code, outcome.status) == ("permission_denied", 403)
        nothing_moved(team)

    def test_is_refused_when_its_organization_is_suspended_meanwhile(self, settle, command, team, member):
        def suspend():
            organizations.suspend(organization=team, reason="fraud", by=SYSTEM)

        outcome = outcome_of(settle, command(team, member.user, 5), suspend, team)
        assert (outcome.code, outcome.status) == ("organization_suspended", 403)
        nothing_moved(team)

    def test_is_refused_when_its_user_is_switched_off_meanwhile(self, settle, command, team, member):
        def switch_off():
            User.objects.filter(pk=member.user_id).update(is_active=False)

        outcome = outcome_of(settle, command(team, member.user, 5), switch_off, team)
        assert outcome.code == "permission_denied"
        nothing_moved(team)

    def test_is_limited_by_an_allocation_given_meanwhile(self, settle, command, team, member):
        outcome = outcome_of(
            settle, command(team, member.user, 5), lambda: make.allocate(team, member.user, 3), team
        )
        assert outcome.details["limit"]["kind"] == "allocation"
        assert make.pool(team).available == 97

    def test_is_paid_by_the_department_that_its_member_came_to_meanwhile(self, settle, command, team, member):
        department = make.department(team, 30)
        outcome = outcome_of(
            settle,
            command(team, member.user, 5),
            lambda: memberships.move(membership=member, department=department, by=SYSTEM),
            team,
        )
        assert isinstance(outcome, Settled)
        assert (make.pool(department).available, make.pool(team).available) == (25, 70)


def test_an_allocation_revoked_while_a_request_waits_for_it_refuses(team):
    user = make.member(team, 40)
    found = []
    with in_another_session(lambda: make.revoke(team, user)) as commit:
        waiting = Thread(
            target=lambda: found.extend(race([lambda: charging.settle_one(make.hold(team, user, 5))]))
        )
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    assert found[0].details["limit"]["remaining"] == "0"
    nothing_moved(team)


def test_an_open_hold_is_captured_though_its_key_is_revoked_while_it_waits(team, member):
    key = make.orgs.membership_key(member).key
    by = make.spender(member.user, key_id=key.pk)
    hold = make.held(team, member.user, 5, by=by)
    command = make.capture(hold, 4, by=by)
    outcome = outcome_of(charging.settle_one, command, lambda: keys.revoke(key=key, by=SYSTEM), team)
    assert isinstance(outcome, Settled), outcome
    assert make.pool(team).available == 96


def test_reading_the_standing_before_the_lock_would_let_a_removed_member_spend(team, member, monkeypatch):
    """Negative control: decide on what was read before the lock, and the revocation is not seen."""
    read, before = standing.read, {}

    def read_once(asked):
        missing = [one for one in asked if one is not None and one not in before]
        before.update(zip(missing, read(missing), strict=True))
        return [before[one] if one is not None else None for one in asked]

    monkeypatch.setattr(standing, "read", read_once)

    def remove():
        memberships.remove(membership=member, by=SYSTEM, acting_as="owner")

    outcome = outcome_of(charging.settle_one, make.charge(team, member.user, 5), remove, team)
    assert isinstance(outcome, Settled)


class TestAStuckPayer:
    @pytest.fixture
    def stuck(self, team):
        with in_another_session(lambda: lock_pool(team)):
            yield team

    @ways
    def test_is_waited_for_some_two_seconds(self, stuck, settle):
        """Who comes first waits for the row, and who comes next for that one: PostgreSQL times each wait anew."""
        waited = []

        def spend():
            began = time.monotonic()
            outcome = settle(make.charge(stuck, None, 1))
            waited.append(time.monotonic() - began)
            return outcome

        assert tally(race([spend] * 8)) == {"try_again": 8}
        assert 1.8 < sorted(waited)[4] < 3
        assert max(waited) < 4.7

    def test_delays_nobody_elses_requests(self, stuck):
        other = make.team(100)
        member = make.member(other, 50)
        make.charged(other, None, 1)
        spent = []

        def spend(user):
            began = time.monotonic()
            outcome = combining.submit(make.charge(other, user, 1))
            spent.append(time.monotonic() - began)
            return outcome

        def wait():
            return combining.submit(make.charge(stuck, None, 1))

        outcomes = race(
            [wait] * 10
            + [lambda: [spend(None) for _ in range(20)], lambda: [spend(member) for _ in range(20)]]
        )
        assert tally(outcomes[:10]) == {"try_again": 10}
        assert tally(outcomes[10] + outcomes[11]) == {"done": 40}
        assert max(spent) < 1.8  # less than the stuck ones wait

    def test_leaves_the_rest_of_a_batch_alone(self, stuck):
        other = make.team(100)
        outcomes = charging.settle([make.charge(stuck), make.charge(other), make.charge(stuck)])
        assert tally(outcomes) == {"try_again": 2, "done": 1}
        assert isinstance(outcomes[0], TryAgain)

    def test_can_be_charged_with_the_same_key_afterwards(self, team):
        with in_another_session(lambda: lock_pool(team)):
            unknown = charging.settle_one(make.charge(team, None, 4, key="mine"))
        known = [charging.settle_one(make.charge(team, None, 4, key="mine")) for _ in range(2)]
        assert tally([unknown, *known]) == {"try_again": 1, "done": 1, "replayed": 1}
        assert make.pool(team).available == 96


def test_what_was_left_over_for_a_held_payer_settles_when_it_is_free(team):
    other, found = make.team(100), []
    with in_another_session(lambda: lock_pool(team)) as commit:
        batch = [make.charge(team), make.charge(other), make.charge(team)]
        waiting = Thread(target=lambda: found.extend(race([lambda: charging.settle(batch)])))
        waiting.start()
        wait_for_a_lock()
        assert make.pool(other).available == 99  # settled and committed, while the others wait
        commit()
        waiting.join(timeout=10)
    assert tally(found[0]) == {"done": 3}
    assert make.pool(team).available == 98


@ways
def test_credits_of_an_overdue_hold_are_free_also_to_who_had_to_wait(team, settle):
    make.held(team, None, 90, ttl=1)
    time.sleep(1.1)
    found = []
    with in_another_session(lambda: lock_pool(team)) as commit:
        waiting = Thread(target=lambda: found.extend(race([lambda: settle(make.hold(team, None, 50))])))
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    assert tally(found) == {"done": 1}
    assert (make.pool(team).available, make.pool(team).held) == (50, 50)


def test_a_shortfall_whose_pool_is_stuck_stays_open_and_the_charge_stands(team):
    user = make.member(team, 10)
    hold = make.held(team, user, 10)
    with in_another_session(lambda: lock_pool(team)):
        outcome = charging.settle_one(make.capture(hold, 15))
    assert (outcome.charge.credits, outcome.charge.shortfall) == (10, 5)
    assert make.pool(team).available == 90
    make.grant(team, 1)
    assert make.pool(team).available == 86


@pytest.mark.parametrize("limit", [{"day": 12}, {"month": 12}], ids=["day", "month"])
def test_a_quota_is_exact_at_its_edge_under_twenty_parallel_calls(limit):
    team = make.team(1000, unlimited=False)
    make.limit_calls(team, **limit)
    users = [make.member(team, 20) for _ in range(4)]
    outcomes = race([lambda n=n: combining.submit(make.hold(team, users[n % 4], 1)) for n in range(20)])
    assert tally(outcomes) == {"done": 12, "quota_exceeded": 8}
    counted = QuotaUsage.objects.get(period="day" if "day" in limit else "month")
    assert counted.used == 12
    refused = next(one for one in outcomes if not isinstance(one, Settled))
    assert refused.details["limit"]["scope"] == counted.period
    assert refused.details["retry_after"] > 0
    assert timezone.now().isoformat() < refused.details["limit"]["resets_at"]
