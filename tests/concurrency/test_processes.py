"""Four processes of sixteen threads, as in production: nothing is overspent, nothing is charged twice."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from credits.models import UsageRecord
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

ROOT = Path(__file__).parents[2]
PROCESSES = 4


@pytest.fixture(scope="module")
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Start them once: Django takes longer to start than to spend."""
    url = urlsplit(os.environ["TEST_DATABASE_URL"])
    environment = os.environ | {
        "TEST_DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "DJANGO_SETTINGS_MODULE": "billing_portal.settings.test",
        "PYTHONPATH": str(ROOT),
    }
    started = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("spender.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(PROCESSES)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def spend(processes, prefixes, **told):
    """Let all processes go at once, and return how all their requests ended."""
    for process, prefix in zip(processes, prefixes, strict=True):
        tell(process, json.dumps(told | {"prefix": prefix}))
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(processes)
    for process in processes:
        tell(process, "go")
    return sum((Counter(json.loads(process.stdout.readline())) for process in processes), Counter())


def tell(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def test_four_processes_on_one_pool_and_one_allocation_never_spend_more_than_these_have(processes, deadlocks):
    team = make.team(160)
    users = [make.member(team, 80), make.member(team)]
    told = {"organization": team.pk, "users": [str(user.pk) for user in users], "count": 100, "cost": "1"}
    outcomes = spend(processes, [f"p{n}-" for n in range(PROCESSES)], **told)
    assert outcomes == {"done": 160, "insufficient_credits": 240}
    assert (make.allocation(team, users[0]).remaining, make.pool(team).available, deadlocks()) == (0, 0, 0)


def test_four_processes_that_send_the_same_ids_charge_each_once(processes, deadlocks):
    team = make.team(1000)
    users = [str(make.member(team, 100).pk) for _ in range(5)]
    told = {"organization": team.pk, "users": users, "count": 60, "cost": "2"}
    outcomes = spend(processes, ["same-"] * PROCESSES, **told)
    assert outcomes == {"done": 60, "replayed": 180}
    assert (UsageRecord.objects.count(), deadlocks()) == (60, 0)
