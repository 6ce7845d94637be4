"""Whoever dies between any two steps of telling Lago of usage: each event is there once, and none is lost."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest

pytestmark = pytest.mark.concurrency

EVENTS = 4  # in batches of three: two requests a run
LEASE_OVER = timedelta(minutes=10)


@pytest.fixture
def figures(capsys):
    """Count over all lives of a test, and say it at the end."""
    counted = Counter()
    yield counted
    with capsys.disabled():
        print("\n   " + ", ".join(f"{name}: {count}" for name, count in sorted(counted.items())))  # noqa: T201


@pytest.fixture
def stage(stage, lago):
    stage.settings = {"LAGO_API_URL": lago.url, "LAGO_API_KEY": lago.api_key}
    return stage


def deliver(stage, *, turn=0, **death):
    """Run a deliverer now, or so many times ten minutes later."""
    now = datetime.now(UTC) + timedelta(seconds=1) + turn * LEASE_OVER
    return stage.live("tests.faults.telling:deliver", now=now.isoformat(), **death)


def drain(stage, figures, *, turn=1):
    """Let fresh deliverers work until nothing is due, past the leases of those that died."""
    for later in itertools.count(turn):
        answer = deliver(stage, turn=later).answer
        figures["duplicates refused by Lago"] += answer["duplicates"]
        assert (answer["failed"], answer["dead"]) == (0, 0)
        if not any(answer.values()):
            return


def arrived_once(stage, lago, organization, figures):
    """Prove that each charge of the organization is one event at Lago, and that ours says so."""
    found = stage.do("tests.faults.telling:look", organization=organization)
    at_lago = Counter(
        one["transaction_id"]
        for one in lago.dump()["event"]
        if one["external_subscription_id"] == f"sub_{organization}"
    )
    figures["events"] += len(found["charges"])
    figures["lost"] += len(set(found["charges"]) - set(at_lago))
    figures["twice"] += sum(count > 1 for count in at_lago.values())
    assert at_lago == Counter(found["charges"])
    assert found["events"] == dict.fromkeys(found["charges"], "delivered")
    assert found["violations"] == []


@pytest.mark.parametrize(
    ("victim", "steps"),
    [
        pytest.param("process", itertools.count(1), id="process"),
        pytest.param("postgres", itertools.count(1), id="postgres", marks=pytest.mark.slow),
        pytest.param("valkey", itertools.count(1, 5), id="valkey", marks=pytest.mark.slow),
    ],
)
def test_the_deliverer_or_a_server_dies_at_every_step(stage, lago, figures, victim, steps):
    """Valkey, which a deliverer never asks, at every fifth."""
    for step in steps:
        organization = stage.do("tests.faults.telling:begin", events=EVENTS)
        life = deliver(stage, at=step, kill=victim)
        if len(life.boundaries) < step:
            break
        figures["deaths"] += 1
        drain(stage, figures)
        arrived_once(stage, lago, organization, figures)
    drain(stage, figures)
    arrived_once(stage, lago, organization, figures)
    assert step > 20, life.boundaries
    assert "before POST /api/v1/events/batch" in life.boundaries


def test_the_next_deliverer_dies_too_while_it_sends_what_the_first_left(stage, lago, figures):
    """Of what a dead deliverer left each event is sent alone, so the second life has many more steps."""
    for step in itertools.count(1, 5):
        organization = stage.do("tests.faults.telling:begin", events=EVENTS)
        assert deliver(stage, at=7).died  # it has sent a batch, and not written so
        life = deliver(stage, turn=1, at=step)
        figures["deaths"] += 1 + life.died
        drain(stage, figures, turn=2)
        arrived_once(stage, lago, organization, figures)
        if not life.died:
            break
    assert step > 20


def test_whoever_bundles_dies_at_every_step_and_each_credit_is_told_once(stage, lago, figures):
    """A minute's calls in one event: its rows are ended with it or not at all."""
    stage.settings |= {"LAGO_AGGREGATE_USAGE": True}
    for step in itertools.count(1):
        organization = stage.do("tests.faults.telling:begin", events=EVENTS)
        life = deliver(stage, turn=1, at=step)
        figures["deaths"] += life.died
        drain(stage, figures, turn=2)
        at_lago = [
            one for one in lago.dump()["event"] if one["external_subscription_id"] == f"sub_{organization}"
        ]
        found = stage.do("tests.faults.telling:look", organization=organization)
        figures["charges"] += len(found["charges"])
        figures["events"] += len(at_lago)
        assert sum(float(one["properties"]["credits"]) for one in at_lago) == EVENTS
        assert Counter(found["events"].values())["delivered"] == len(at_lago) < EVENTS
        assert set(found["events"].values()) <= {"delivered", "bundled"}
        if not life.died:
            break
    assert step > 8, life.boundaries


def test_lagos_answer_is_lost_and_then_the_deliverer_dies(stage, lago, figures):
    for step in itertools.count(1):
        organization = stage.do("tests.faults.telling:begin", events=EVENTS)
        lago.faults({"method": "POST", "path": "events/batch", "times": 4, "drop": True})
        life = deliver(stage, at=step)
        lago.faults()
        figures["deaths"] += life.died
        drain(stage, figures)
        arrived_once(stage, lago, organization, figures)
        if not life.died:
            break
    assert step > 5


def test_lago_dies_with_a_batch_in_its_hands(stage, lago, figures):
    """It has stored the events or has not, and says neither."""
    for after_commit in (True, False):
        organization = stage.do("tests.faults.telling:begin", events=EVENTS)
        lago.faults(
            {
                "method": "POST",
                "path": "events/batch",
                "times": 9,
                "latency": 5,
                "drop": True,
                "after_commit": after_commit,
            }
        )
        killer = Timer(0.5, lago.kill)
        killer.start()
        life = deliver(stage)
        killer.join()
        lago.start_again()
        figures["deaths"] += 1
        assert life.answer["unanswered"] == EVENTS - 1, life  # the first batch; the others were not tried
        drain(stage, figures)
        arrived_once(stage, lago, organization, figures)


def test_whoever_charges_dies_and_what_is_charged_is_told_and_nothing_else(stage, lago, figures):
    for step in itertools.count(1):
        organization = stage.do("tests.faults.telling:begin", events=0)
        life = stage.live("tests.faults.telling:spend", organization=organization, key="once", at=step)
        figures["deaths"] += life.died
        found = stage.do("tests.faults.telling:look", organization=organization)
        assert sorted(found["events"]) == found["charges"]  # both or neither
        stage.do("tests.faults.telling:spend", organization=organization, key="once")
        drain(stage, figures)
        arrived_once(stage, lago, organization, figures)
        if not life.died:
            break
    assert step >= 3
