"""Several deliverers at once, as threads and as processes: nothing is even sent twice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from lago_sync.outbox import claims
from tests.concurrency.racing import race
from tests.lago_sync.outbox.story import BATCH, arrived, deliver, each_once, states, team, wrote

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

ROOT = Path(__file__).parents[3]
SLOW = {"method": "POST", "path": "events/batch", "times": 1000, "latency": 0.05}


@pytest.fixture
def rows(lago):
    """Write ten batches of two organizations, and let Lago take its time so that deliverers meet."""
    found = [row for _ in range(2) for row in wrote(team(), 500)]
    lago.faults(SLOW)
    return found


@pytest.mark.parametrize("deliverers", [2, 4])
def test_threads(lago, rows, deliverers):
    totals = race([deliver] * deliverers)
    assert sum(total.sent for total in totals) == 1000
    assert sum(total.duplicates + total.failed + total.unanswered for total in totals) == 0
    assert sum(total.sent > 0 for total in totals) > 1
    assert (arrived(lago), states()) == (each_once(rows), {"delivered": 1000})
    assert lago.requested(*BATCH) <= 10 + deliverers  # who claims beside another may get less than a hundred


@pytest.mark.parametrize("deliverers", [2, 4])
def test_processes(lago, rows, deliverers):
    url = urlsplit(os.environ["TEST_DATABASE_URL"])
    environment = os.environ | {
        "TEST_DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "DJANGO_SETTINGS_MODULE": "billing_portal.settings.test",
        "PYTHONPATH": str(ROOT),
    }
    started = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("deliverer.py"), lago.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(deliverers)
    ]
    try:
        assert [process.stdout.readline() for process in started] == ["ready\n"] * deliverers
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        totals = [json.loads(process.stdout.readline()) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert sum(total["sent"] for total in totals) == 1000
    assert sum(total["duplicates"] + total["failed"] + total["unanswered"] for total in totals) == 0
    assert (arrived(lago), states()) == (each_once(rows), {"delivered": 1000})
    assert lago.requested(*BATCH) <= 10 + deliverers  # who claims beside another may get less than a hundred


def test_without_the_lease_they_send_the_same_events_and_only_lago_keeps_them_apart(lago, rows, monkeypatch):
    """The negative control: what the tests above would see if claims did not hold."""
    monkeypatch.setattr(
        claims,
        "_FRESH",
        """SELECT id, organization, transaction_id, code, payload::text, attempts + 1, failures + 1
        FROM lago_sync_outboxevent
        WHERE %s::timestamptz IS NOT NULL AND state = 'waiting' AND due_at <= %s AND failures = 0
        ORDER BY due_at, id LIMIT %s""",
    )
    totals = race([deliver] * 4)
    assert sum(total.duplicates for total in totals) > 0
    assert lago.requested(*BATCH) > 14
    assert (arrived(lago), states()) == (each_once(rows), {"delivered": 1000})


def test_a_deliverer_that_is_slower_than_its_lease_sends_nothing_more_and_loses_nothing(
    lago, rows, monkeypatch
):
    monkeypatch.setattr(claims, "longest_request", lambda: claims.timedelta(seconds=-20))
    totals = race([deliver] * 4)  # every lease is over at once: each takes what the others are sending
    assert sum(total.sent for total in totals) == 1000
    assert (arrived(lago), states()) == (each_once(rows), {"delivered": 1000})


@pytest.mark.slow
def test_ten_thousand_events_are_there_within_half_a_minute(lago, capsys):
    rows = [row for _ in range(10) for row in wrote(team(), 1000)]
    started = time.monotonic()
    runs = 0
    while states()["waiting"]:
        deliver(after=1)
        runs += 1
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n   10,000 events in {seconds:.1f} s, {runs} runs")  # noqa: T201 - a figure to quote
    assert (arrived(lago), states()) == (each_once(rows), {"delivered": 10_000})
    assert seconds < 30
