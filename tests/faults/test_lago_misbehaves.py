"""A Lago that is down, lies, refuses, loses answers: every event is there once in the end, and the queue drains in time."""

import json
import os
import random
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from lago_sync.client import circuit
from lago_sync.models import OutboxEvent
from lago_sync.outbox import delivery
from tests.lago_sync.outbox.story import arrived, ids, states, team, wrote

pytestmark = pytest.mark.concurrency

BATCH = {"method": "POST", "path": "events/batch"}
WRONG = {
    "500": {"status": 500, "body": "<h1>We're sorry</h1>"},
    "502 in HTML": {"status": 502},
    "503 and nothing": {"status": 503, "body": ""},
    "garbage": {"status": 200, "body": "\x00\x01 no JSON"},
    "cut short": {"status": 200, "body": '{"events": [{"transaction_id": "'},
    "a friendly 200": {"status": 200, "body": '{"message": "ok"}'},
    "elsewhere": {"status": 302, "body": ""},
    "too many requests": {"status": 429, "body": '{"status": 429, "error": "Too Many Requests"}'},
    "a wrong key": {"status": 401, "body": '{"status": 401, "error": "Unauthorized"}'},
    "refused whole": {
        "status": 422,
        "body": json.dumps({"status": 422, "code": "validation_errors", "error_details": {"base": ["odd"]}}),
    },
    "reset before": {"drop": True, "after_commit": False},
    "reset after the commit": {"drop": True},
    "garbage after the commit": {"status": 200, "body": "no JSON", "after_commit": True},
    "500 after the commit": {"status": 500, "body": "", "after_commit": True},
}


def say(capsys, **figures):
    with capsys.disabled():
        print("\n   " + ", ".join(f"{name.replace('_', ' ')}: {one}" for name, one in figures.items()))  # noqa: T201 - figures to quote


@pytest.mark.django_db
def test_whatever_lago_does_each_event_is_there_once_and_poison_stays_alone(lago, capsys, monkeypatch):
    """Ten organizations, one of whose events Lago calls invalid; forty runs with a fault each, then a Lago that is well."""
    seed = int(os.environ.get("FAULT_SEED", "214164"))
    chance = random.Random(seed)
    rows = [row for _ in range(9) for row in wrote(team(), 200)]
    poison = wrote(team(), 50, code="")
    chance.shuffle(rows)
    total, met, now = Counter(), Counter(), timezone.now()
    for _ in range(40):
        circuit.forget()  # its pauses are of the wall clock, which stands still here
        name = chance.choice(list(WRONG))
        lago.faults(*[BATCH | WRONG[name] | {"times": chance.randint(1, 6)}])
        now += timedelta(seconds=chance.randint(5, 90))
        total.update(vars_of(delivery.deliver_due(now=now)))
        met[name] += 1
    lago.faults()
    circuit.forget()
    for _ in range(20):
        now += timedelta(seconds=80)
        total.update(vars_of(delivery.deliver_due(now=now)))
    found = arrived(lago)
    dead = set(OutboxEvent.objects.filter(state="dead").values_list("transaction_id", flat=True))
    lost, twice = ids(rows) - set(found), [key for key, count in found.items() if count > 1]
    say(
        capsys,
        seed=seed,
        events=len(rows),
        at_lago=len(found),
        duplicates_refused=total["duplicates"],
        lost=len(lost),
        twice=len(twice),
        dead=len(dead),
        faults=dict(met),
    )
    assert (lost, twice) == (set(), [])
    assert dead == ids(poison)
    assert states() == {"delivered": len(rows), "dead": len(poison)}


@pytest.mark.slow
@pytest.mark.django_db
def test_ten_thousand_events_are_told_within_two_minutes_of_an_outage(lago, monkeypatch, capsys):
    """Lago is down for ten minutes, with a deliverer every five seconds; the circuit is open as long as it ever is."""
    monkeypatch.setattr(circuit, "FIRST_PAUSE", circuit.LONGEST_PAUSE)
    circuit.forget()
    rows = [row for _ in range(10) for row in wrote(team(), 1000)]
    OutboxEvent.objects.update(due_at=timezone.now() - timedelta(seconds=600))
    lago.stop()
    for seconds in range(-600, 0, 5):
        delivery.deliver_due(now=timezone.now() + timedelta(seconds=seconds))
    assert circuit.standing().is_open
    lago.start_again()
    healed = time.monotonic()
    tries = Counter()
    while states()["waiting"] and time.monotonic() - healed < 180:
        run = time.monotonic()
        tries.update(vars_of(delivery.deliver_due(now=timezone.now())))
        time.sleep(max(0.0, 5 - (time.monotonic() - run)))  # as the schedule has it
    seconds = time.monotonic() - healed
    found = arrived(lago)
    say(
        capsys,
        events=len(rows),
        at_lago=len(found),
        duplicates_refused=tries["duplicates"],
        lost=len(ids(rows) - set(found)),
        twice=sum(count > 1 for count in found.values()),
        seconds_to_drain=round(seconds, 1),
    )
    assert set(found.values()) == {1}
    assert set(found) == ids(rows)
    assert states() == {"delivered": len(rows)}
    assert seconds <= 120


def vars_of(total):
    return {name: getattr(total, name) for name in total.__slots__}
