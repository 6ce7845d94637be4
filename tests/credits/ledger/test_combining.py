"""The role of the combiner: whoever leads settles for all who wait, and whatever happens to a leader, nobody sleeps on."""

from threading import Event, Thread

import pytest

from credits.ledger import combining
from credits.ledger.combining import Combiner
from kit.errors import TryAgain


class Together:
    """Submits from threads to a combiner whose first leader is kept busy until all the others wait."""

    def __init__(self, settle):
        self.batches = []
        self.busy, self.go_on = Event(), Event()
        self.combiner = Combiner(self._settle)
        self.inner = settle

    def _settle(self, items):
        first = not self.batches
        self.batches.append(list(items))
        if first:
            self.busy.set()
            assert self.go_on.wait(timeout=5)
        return self.inner(items)

    def run(self, count):
        outcomes = {}

        def submit(item):
            try:
                outcomes[item] = self.combiner.submit(item)
            except BaseException as error:  # noqa: BLE001 - an outcome like any other
                outcomes[item] = error

        threads = [Thread(target=submit, args=(item,), daemon=True) for item in range(count)]
        threads[0].start()
        assert self.busy.wait(timeout=5)
        for thread in threads[1:]:
            thread.start()
        while len(self.combiner._queue) < count - 1:
            pass
        self.go_on.set()
        for thread in threads:
            thread.join(timeout=10)
        assert not any(thread.is_alive() for thread in threads), "somebody sleeps for ever"
        assert not self.combiner._led
        assert not self.combiner._queue
        return [outcomes[item] for item in range(count)]


def double(items):
    return [item * 2 for item in items]


def test_a_lone_request_waits_for_nobody():
    assert Combiner(double).submit(4) == 8


def test_what_waits_is_settled_together_and_everybody_gets_their_own():
    together = Together(double)
    assert together.run(20) == double(range(20))
    assert [len(batch) for batch in together.batches] == [1, 19]


def test_no_batch_is_larger_than_256():
    together = Together(double)
    assert together.run(300) == double(range(300))
    assert [len(batch) for batch in together.batches] == [1, 256, 43]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_leader_that_fails_lets_each_waiter_run_alone(error):
    def settle(items):
        if len(items) > 1:
            raise error("together it breaks")
        return double(items)

    together = Together(settle)
    outcomes = together.run(10)
    fell = [one for one in outcomes if isinstance(one, error)]
    assert len(fell) == (
        0 if error is RuntimeError else 1
    )  # a leader that is stopped stops; the others go on
    assert sorted(one for one in outcomes if not isinstance(one, error)) == [
        item * 2 for item in range(10) if not isinstance(outcomes[item], error)
    ]
    assert sorted(map(len, together.batches))[-2:] == [1, 9]


def test_one_that_fails_alone_fails_alone():
    def settle(items):
        if 3 in items:
            raise ValueError("not this one")
        return double(items)

    outcomes = Together(settle).run(6)
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == [0, 2, 4, 8, 10]


def test_a_leader_that_answers_too_few_lets_each_waiter_run_alone():
    def settle(items):
        return double(items) if len(items) == 1 else double(items)[:-1]

    assert Together(settle).run(5) == double(range(5))


def test_after_a_failed_leader_the_next_request_is_served():
    def settle(items):
        if items == [0]:
            raise SystemExit
        return double(items)

    combiner = Combiner(settle)
    with pytest.raises(SystemExit):
        combiner.submit(0)
    assert combiner.submit(1) == 2


def test_whoever_runs_out_of_patience_is_told_to_try_again_and_leaves_the_queue(monkeypatch):
    monkeypatch.setattr(combining, "PATIENCE_SECONDS", 0.05)
    together = Together(double)
    leader = Thread(target=lambda: together.combiner.submit(0), daemon=True)
    leader.start()
    assert together.busy.wait(timeout=5)
    with pytest.raises(TryAgain):
        together.combiner.submit(1)
    together.go_on.set()
    leader.join(timeout=5)
    assert together.batches == [[0]]
    assert together.combiner.submit(2) == 4


def test_whoever_is_handed_the_lead_when_their_patience_ends_leads():
    """Else the queue would have a leader who has gone, and everybody after would sleep."""
    combiner = Combiner(double)
    combiner._led = True
    waiter = combining._Waiter(7)

    class HandedOverNow:
        def wait(self, _):
            combiner._queue.append(waiter) if waiter not in combiner._queue else None
            combiner._hand_on()
            return False

        def set(self):
            pass

    waiter.woken = HandedOverNow()
    combiner._wait(waiter)
    assert waiter.leads
    combiner._lead()
    assert (waiter.results, combiner._led) == ([14], False)


def test_whoever_is_broken_off_while_leading_hands_the_lead_on():
    combiner = Combiner(double)
    combiner._led = True
    waiter, next_one = combining._Waiter(1), combining._Waiter(2)
    combiner._queue.extend([waiter, next_one])

    class BrokenOff:
        def wait(self, _):
            combiner._hand_on()
            raise SystemExit

        def set(self):
            pass

    waiter.woken = BrokenOff()
    with pytest.raises(SystemExit):
        combiner._wait(waiter)
    assert next_one.leads
    assert next_one.woken.is_set()
    assert list(combiner._queue) == [next_one]
