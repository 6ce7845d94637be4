"""Capture, release and expiry racing for one hold end it once; without the locks only the trigger is left."""

from threading import Barrier

import pytest

from credits.ledger import charging, combining
from credits.ledger.rounds import Round
from credits.models import Hold, UsageRecord
from tests.concurrency.racing import race, tally, until_known, without_locks
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

HOLDS = 40


def aimed(act, holds, instants, *, clock="0"):
    """Return a runner that acts on each hold in the very instant in which the others do."""

    def run():
        make.move_clock(clock)
        outcomes = []
        for hold, instant in zip(holds, instants, strict=True):
            instant.wait(timeout=30)
            outcomes.append(until_known(lambda hold=hold: act(hold)))
        return outcomes

    return run


@pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])
@pytest.mark.parametrize("payer", ["pool", "allocation"])
def test_capture_release_and_expiry_racing_for_one_hold_end_it_once(settle, payer, deadlocks):
    team = make.team(1000)
    user = make.member(team, 900 if payer == "allocation" else None)
    holds = [make.held(team, user, 10, ttl=60) for _ in range(HOLDS)]
    instants = [Barrier(3) for _ in holds]
    captures, releases, expiries = race(
        [
            aimed(lambda hold: settle(make.capture(hold, 4)), holds, instants),
            aimed(lambda hold: settle(make.release(hold)), holds, instants),
            aimed(lambda hold: settle(make.expire(hold)), holds, instants, clock="1 minute"),
        ]
    )
    for hold, capture, release, expiry in zip(holds, captures, releases, expiries, strict=True):
        ended = Hold.objects.get(pk=hold)
        charges = UsageRecord.objects.filter(hold_id=hold)
        assert ended.status in {"captured", "released", "expired"}
        assert (charges.count() == 1) == (tally([capture])["done"] == 1)
        if ended.status == "released":
            assert tally([capture, release, expiry]) == {"hold_ended": 1, "done": 2}
        if ended.status == "captured":
            assert tally([release]) == {"hold_ended": 1}
        if ended.status == "expired" and charges:
            assert charges.get().late
    taken = 4 * UsageRecord.objects.count()
    row = make.pool(team) if payer == "pool" else make.allocation(team, user)
    left = row.available if payer == "pool" else row.remaining
    assert (left, row.held, row.spent) == ((1000 if payer == "pool" else 900) - taken, 0, taken)
    assert deadlocks() == 0


def test_many_captures_with_different_figures_let_one_win():
    team = make.team(1000)
    hold = make.held(team, None, 50)
    outcomes = race(
        [lambda n=n: until_known(lambda: combining.submit(make.capture(hold, n))) for n in range(1, 31)]
    )
    assert tally(outcomes) == {"done": 1, "idempotency_conflict": 29}
    assert make.pool(team).available == 1000 - UsageRecord.objects.get().credits


def test_many_sweepers_side_by_side_give_back_once(deadlocks):
    from credits.ledger import holds

    team = make.team(100)
    for _ in range(50):
        make.held(team, None, 2, ttl=60)

    def sweep():
        make.move_clock("1 hour")
        return holds.expire_due()

    race([sweep] * 4)
    make.move_clock("1 hour")
    holds.expire_due()
    make.move_clock("0")
    pool = make.pool(team)
    assert (pool.available, pool.held, deadlocks()) == (100, 0, 0)


@pytest.mark.breaks_the_ledger("ends without locks, which is the point")
def test_without_the_locks_only_the_trigger_keeps_a_hold_from_ending_twice(monkeypatch, caplog):
    """Negative control: both find the hold active, and only the database refuses the second."""
    without_locks(monkeypatch)
    monkeypatch.setattr(Round, "_lock_holds", lambda self, seen: Hold.objects.in_bulk(list(seen)))
    team = make.team(1000)
    for _ in range(10):
        hold = make.held(team, None, 10)
        race(
            [
                lambda hold=hold: charging.settle_one(make.capture(hold, 4)),
                lambda hold=hold: charging.settle_one(make.release(hold)),
            ]
        )
    assert "has ended already" in caplog.text
