"""Lago's limits: no second has more requests than it takes, and where it says to wait, nobody asks."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lago_sync.client import customers, events, limits, subscriptions
from lago_sync.errors import LagoUnreachable
from tests.lago_sync.client.scripted import say

FOUND = say(200, {"customer": {"lago_id": "1"}, "events": []})
USED_UP = say(200, {"customer": {"lago_id": "1"}}, X_RateLimit_Remaining="0", X_RateLimit_Reset="1")
TOO_MANY = say(429, {"status": 429}, X_RateLimit_Remaining="0", X_RateLimit_Reset="60")


class Clock:
    """A time that passes when somebody sleeps."""

    def __init__(self, monkeypatch):
        self.now = 1_800_000_000.0
        for name in ("time", "monotonic"):
            monkeypatch.setattr(limits.time, name, lambda: self.now)
        monkeypatch.setattr(limits.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_no_second_has_more_than_a_class_may_ask(settings, monkeypatch, server):
    settings.LAGO_RATE_LIMITED = True
    clock = Clock(monkeypatch)
    resources = {
        "rest": "customers/org_1",
        "current_usage": "customers/org_1/current_usage",
        "events": "events",
    }
    for name, resource in resources.items():
        sent = []
        for _ in range(3 * limits.PER_SECOND[name]):
            limits.wait(resource)
            sent.append(clock.now)
        worst = max(sum(1 for other in sent if one <= other < one + 1) for one in sent[:: len(sent) // 50])
        assert limits.PER_SECOND[name] * 0.7 < worst <= limits.PER_SECOND[name]
        clock.now += 10


def test_many_at_once_share_the_bucket(settings, server):
    settings.LAGO_RATE_LIMITED = True
    began = int(time.time() * 10)
    slices: Counter[int] = Counter()

    def ask(_: int) -> None:
        limits.wait("customers")
        slices[int(time.time() * 10)] += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(24)))
    assert len(slices) >= 5
    assert max(slices) >= began + 5


def test_nobody_waits_for_ever_and_a_delivery_not_at_all(settings, server, monkeypatch):
    settings.LAGO_RATE_LIMITED = True
    clock = Clock(monkeypatch)
    monkeypatch.setattr(limits, "_empty_for", lambda name: 0.1)
    began = clock.now
    with pytest.raises(LagoUnreachable):
        customers.get("org_1")
    assert clock.now - began <= limits.LONGEST_WAIT
    before = clock.now
    with pytest.raises(LagoUnreachable):
        events.send([])
    assert (clock.now, server.asked) == (before, [])


def test_with_nothing_remaining_the_next_waits_until_it_starts_anew(server):
    server.answer(USED_UP, FOUND)
    customers.get("org_1")
    began = time.monotonic()
    customers.get("org_1")
    assert 0.5 < time.monotonic() - began < 2


def test_a_delivery_that_was_too_much_ends_at_once_and_the_next_is_not_sent(server):
    server.answer(TOO_MANY)
    for _ in range(2):
        with pytest.raises(LagoUnreachable):
            events.send([])
    with pytest.raises(LagoUnreachable):
        subscriptions.terminate("sub_1")  # of the same class, and too far off to wait
    assert len(server.asked) == 1


def test_a_lago_without_limits_is_not_held_back(server, settings):
    server.answer(FOUND)
    settings.LAGO_RATE_LIMITED = False
    began = time.monotonic()
    for _ in range(100):
        limits.wait("customers")
    assert time.monotonic() - began < 1
