"""The circuit: a Lago that is away is asked seldom, by all processes together, and at once again when it answers."""

import time

import pytest

from lago_sync.client import circuit, customers, events, organization, shared, transport
from lago_sync.errors import LagoRefused, LagoUnavailable, LagoUnreachable
from tests.lago_sync.client.scripted import hang, refuse, say

AWAY = say(500, b"")
FOUND = say(200, {"customer": {"lago_id": "1"}, "events": [], "organization": {"lago_id": "1"}})


@pytest.fixture(params=["shared", "of this process"])
def store(request, monkeypatch):
    """The cache, and what is left of it while it is away."""
    if request.param == "of this process":
        monkeypatch.setattr(shared, "_away_until", time.monotonic() + 3600)
        monkeypatch.setattr(shared, "_own", {})
    return request.param


def fail(times: int, ask=lambda: customers.get("org_1")) -> None:
    for _ in range(times):
        with pytest.raises(LagoUnavailable):
            ask()


def over(server, monkeypatch) -> None:
    """Let the pause be over."""
    later = time.time() + circuit.LONGEST_PAUSE + 1
    monkeypatch.setattr(time, "time", lambda: later)


def test_opens_after_failures_in_a_row_and_then_nothing_is_sent(server, store):
    server.answer(AWAY)
    fail(circuit.FAILURES["api"])
    assert (circuit.standing().is_open, circuit.standing().why) == (True, "Lago answers 500.")
    asked = len(server.asked)
    with pytest.raises(LagoUnreachable):
        customers.upsert({"external_id": "org_1"})
    assert len(server.asked) == asked


def test_stays_closed_where_one_answer_lies_between(server, store):
    server.answer(*[AWAY] * 4, FOUND, *[AWAY] * 4)
    fail(4)
    customers.get("org_1")
    fail(4)
    assert not circuit.standing().is_open
    assert circuit.standing().failures == 4


def test_is_not_opened_by_a_no(server):
    server.answer(refuse(422, "validation_errors", {}))
    for _ in range(circuit.FAILURES["api"] + 1):
        with pytest.raises(LagoRefused):
            customers.upsert({"external_id": "org_1"})
    assert circuit.standing() == circuit.Standing(is_open=False)


def test_lets_one_request_through_when_its_pause_is_over_and_closes_with_its_answer(
    server, store, monkeypatch
):
    server.answer(*[AWAY] * 5, FOUND)
    fail(5)
    over(server, monkeypatch)
    let_through = []
    real = transport.sending.send

    def send(*given, **named):
        with pytest.raises(LagoUnreachable), circuit.passing("customers"):  # a second one meanwhile
            let_through.append("second")
        return real(*given, **named)

    monkeypatch.setattr(transport.sending, "send", send)
    customers.get("org_1")
    assert not let_through
    assert circuit.standing() == circuit.Standing(is_open=False)


def test_pauses_twice_as_long_after_each_request_that_fails(server, store, monkeypatch):
    server.answer(AWAY)
    clock = [time.time()]
    monkeypatch.setattr(circuit.time, "time", lambda: clock[0])
    fail(5)
    opened_at, pauses = circuit.standing().opened_at, []
    for _ in range(6):
        began = clock[0]
        while len(server.asked) == 5 + len(pauses):
            clock[0] += 1
            fail(1)
        pauses.append(clock[0] - began)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert circuit.standing().opened_at == opened_at


def test_of_events_bears_the_search_for_one_that_lago_cannot_take(server):
    """The outbox halves a batch down to one event: up to eight failures in a row with Lago there."""
    server.answer(AWAY)
    fail(8, lambda: transport.post("events/batch", {"events": []}, repeats=False))
    assert not circuit.standing().is_open
    server.answer(FOUND)
    events.send([])
    assert circuit.standing() == circuit.Standing(is_open=False)


def test_a_check_asks_though_it_is_open_and_closes_it(server):
    server.answer(*[AWAY] * 5, FOUND)
    fail(5)
    organization.get()
    assert not circuit.standing().is_open


def test_a_lago_that_says_nothing_costs_its_time_limit_a_few_times_and_no_more(server, settings):
    settings.LAGO_TIMEOUT_SECONDS = 0.1
    server.answer(hang(0.4))
    began = time.monotonic()
    fail(50)
    assert len(server.asked) == circuit.FAILURES["api"]
    assert time.monotonic() - began < 3


def test_a_process_that_starts_while_lago_hangs_does_not_wait_for_it_each_time(server, settings):
    settings.DEBUG = settings.TESTING = False  # where the address is looked at before the key goes there
    settings.LAGO_TIMEOUT_SECONDS = 0.1
    server.answer(hang(0.4))
    fail(50)
    assert len(server.asked) == circuit.FAILURES["api"]
