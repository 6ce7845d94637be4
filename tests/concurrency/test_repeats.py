"""One transaction id sent many times at once has one effect; without the key it has many."""

import pytest

from credits.ledger import charging, combining, keys
from credits.models import Hold, UsageRecord
from tests.concurrency.racing import race, tally, until_known
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

ways = pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])


@ways
def test_fifty_equal_charges_at_once_charge_once_and_all_get_the_same_answer(settle):
    team = make.team(100)
    command = lambda: make.charge(team, None, 3, key="same")  # noqa: E731
    outcomes = race([lambda: until_known(lambda: settle(command())) for _ in range(50)])
    assert tally(outcomes) == {"done": 1, "replayed": 49}
    answers = {(one.charge.id, one.charge.credits, one.organization, one.payer.remaining) for one in outcomes}
    assert len(answers) == 1
    assert make.pool(team).available == 97


@ways
def test_fifty_equal_holds_at_once_hold_once(settle):
    team = make.team(100)
    user = make.member(team, 50)
    outcomes = race(
        [lambda: until_known(lambda: settle(make.hold(team, user, 3, key="same"))) for _ in range(50)]
    )
    assert tally(outcomes) == {"done": 1, "replayed": 49}
    assert {one.hold.pk for one in outcomes} == {Hold.objects.get().pk}
    assert make.allocation(team, user).held == 3


@ways
def test_fifty_equal_captures_at_once_capture_once(settle):
    team = make.team(100)
    hold = make.held(team, None, 10)
    outcomes = race([lambda: until_known(lambda: settle(make.capture(hold, 4))) for _ in range(50)])
    assert tally(outcomes) == {"done": 1, "replayed": 49}
    assert make.pool(team).available == 96


@ways
def test_of_different_contents_under_one_id_one_is_charged(settle):
    team = make.team(1000)
    outcomes = race(
        [
            lambda cost=cost: until_known(lambda: settle(make.charge(team, None, cost, key="same")))
            for cost in range(1, 31)
        ]
    )
    assert tally(outcomes) == {"done": 1, "idempotency_conflict": 29}
    assert make.pool(team).available == 1000 - UsageRecord.objects.get().credits


@ways
def test_of_a_hold_and_a_charge_under_one_id_one_happens(settle):
    team = make.team(100)
    acts = [make.hold, make.charge] * 10
    outcomes = race(
        [lambda act=act: until_known(lambda: settle(act(team, None, 2, key="same"))) for act in acts]
    )
    assert tally(outcomes) == {"done": 1, "replayed": 9, "idempotency_conflict": 10}
    assert make.pool(team).available == 98


def test_many_ids_each_sent_five_times_have_one_effect_each(deadlocks):
    team = make.team(100)
    names = [f"id{n % 20}" for n in range(100)]
    outcomes = race(
        [
            lambda name=name: until_known(lambda: combining.submit(make.charge(team, None, 1, key=name)))
            for name in names
        ]
    )
    assert tally(outcomes) == {"done": 20, "replayed": 80}
    assert (make.pool(team).available, deadlocks()) == (80, 0)


@pytest.mark.breaks_the_ledger("charges without keys, which is the point")
def test_without_the_key_every_repeat_is_charged(monkeypatch):
    """Negative control: take the claim out, and each of the equal requests is charged."""
    monkeypatch.setattr(keys, "claim", lambda spends: {spend.key for spend, _ in spends})
    team = make.team(100)
    outcomes = race([lambda: charging.settle_one(make.charge(team, None, 3, key="same")) for _ in range(10)])
    assert tally(outcomes) == {"done": 10}
    assert UsageRecord.objects.count() == 10
