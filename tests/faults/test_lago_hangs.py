"""A Lago that never answers slows no page and no hold: nothing that people or gateways wait for asks it."""

import time
from contextlib import contextmanager, suppress
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test import Client

from lago_sync import tasks
from lago_sync.client import circuit
from lago_sync.models import LagoCustomer
from tests.concurrency.racing import race
from tests.factories import api
from tests.factories import credits as make
from tests.faults.hanging import lago_that_hangs
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.inbox.story import received
from tests.lago_sync.outbox.story import subscribed, wrote

pytestmark = pytest.mark.concurrency

OF_TEAM = (
    "", "usage/", "allocations/", "members/", "departments/", "credits/buy/", "plan/", "invoices/",
    "payment-methods/", "limits/", "limits/auto-top-up/", "keys/", "requests/", "audit/", "settings/", "reports/",
)  # fmt: skip
OF_OWNER = ("/billing/", "/orgs/", "/inbox/", *(f"/orgs/{{slug}}/{page}" for page in OF_TEAM))
OF_STAFF = (
    "/system/", "/system/transactions/", "/system/organizations/", "/system/lago/", "/admin/",
    "/admin/lago_sync/outboxevent/", "/admin/lago_sync/webhookmessage/", "/healthz", "/readyz", "/webhooks/lago/health",
)  # fmt: skip
OF_API = (
    "subscriptions/{org}", "credits/{org}", "credits/{org}/purchases", "credits/{org}/ledger", "credits/{org}/usage",
    "credits/{org}/auto-top-up", "billing/user", "billing/org/{org}", "billing/{org}/history", "billing/invoices/{org}",
    "billing/payment-methods/{org}", "packages",
)  # fmt: skip
SLOW = 5.0
"""Seconds: less than any time limit of Lago's, more than a page takes on a machine that does much else."""
SECONDS = 4.0
"""Of each measurement; there are four, in turns."""


@pytest.fixture
def hanging(settings):
    """Let Lago hang, for half a minute each time it is asked."""
    with lago_that_hangs() as found:
        settings.LAGO_API_URL = found.url
        settings.LAGO_TIMEOUT_SECONDS = 30
        circuit.forget()
        yield found
    circuit.forget()


@pytest.mark.django_db
def test_no_page_and_no_answer_asks_it(hanging):
    """Every page of contract.md §3 and every GET of org-billing, of a team that is at Lago and subscribed."""
    scene = api.scene()
    subscribed(scene.org)
    LagoCustomer.objects.create(organization=scene.org, lago_id=uuid4(), currency="USD")
    names = {"slug": scene.org.slug, "org": scene.org.public_id}
    visits = [
        (who, path.format(**names))
        for who, paths in (("owner", OF_OWNER), ("system_admin", OF_STAFF))
        for path in paths
    ] + [("owner", f"/api/v1/org-billing/{path.format(**names)}") for path in OF_API]
    answered, slow = {}, {}
    for who, path in visits:
        client = Client(raise_request_exception=False)
        client.force_login(scene.people[who])
        started = time.monotonic()
        answer = client.get(path)
        seconds = time.monotonic() - started
        if answer.status_code != 404:  # what is not built yet
            answered[path] = answer.status_code
        if seconds > SLOW:
            slow[path] = seconds
    assert (hanging.asked, slow) == (0, {})
    assert set(answered.values()) == {200}, answered
    assert len(answered) >= 30


@contextmanager
def everybody_asks():
    """Let all jobs that ask Lago run, each in a worker of its own that waits for it."""
    jobs = [
        tasks.deliver_outbox,
        tasks.deliver_outbox,
        tasks.poll,
        tasks.check_health,
        tasks.compare_books,
        tasks.handle_webhooks,
        tasks.advance_due,
    ]

    def run(job):
        try:
            with suppress(Exception):  # it is cut off in the end, and the schedule would call it again
                job()
        finally:
            connections.close_all()

    workers = [Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for worker in workers:
        worker.start()
    yield workers


def holds(org, user):
    """Place and release holds one after the other for a while; returns how long each placing took."""
    took, ends = [], time.monotonic() + SECONDS
    while time.monotonic() < ends:
        started = time.monotonic()
        hold = make.held(org, user)
        took.append(time.monotonic() - started)
        make.settled(make.release(hold))
    return took


def p99(org, people):
    took = sorted(
        one for each in race([lambda user=user: holds(org, user) for user in people]) for one in each
    )
    return took[int(len(took) * 0.99)], len(took)


def in_transaction():
    """Return for how many seconds the oldest open transaction of others has been idle."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'"
        )
        return float(cursor.fetchone()[0])


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_holds_are_as_fast_while_all_jobs_wait_for_it(hanging, capsys):
    """The 99th percentile of holds without and with workers that hang in Lago, in turns in one run."""
    org = make.team(10_000)
    people = [make.member(org, 1000) for _ in range(4)]
    subscribed(org)
    LagoCustomer.objects.create(organization=org, lago_id=uuid4(), currency="USD")
    wrote(org, 300)
    received(message("subscription.updated", subscription={"external_customer_id": org.public_id}))
    p99(org, people)  # what is made at first need is made
    without, idle = [p99(org, people)], []
    with everybody_asks() as workers:
        time.sleep(1)
        with_it = [p99(org, people)]
        idle.append(in_transaction())
        stuck = sum(worker.is_alive() for worker in workers)
        asked = hanging.asked
        with_it.append(p99(org, people))
        idle.append(in_transaction())
        hanging.end()
        for worker in workers:
            worker.join(timeout=60)
    without.append(p99(org, people))
    ratio = min(with_it)[0] / min(without)[0]
    with capsys.disabled():
        print(  # noqa: T201 - figures to quote
            f"\n   workers that hang: {stuck}, p99 of holds without {[f'{one[0] * 1000:.1f} ms' for one in without]},"
            f" with {[f'{one[0] * 1000:.1f} ms' for one in with_it]}: {ratio:.2f} x, {with_it[0][1]} holds,"
            f" oldest idle transaction {max(idle):.2f} s"
        )
    assert stuck >= 4
    assert asked >= 4
    assert max(idle) < 1
    assert ratio < 1.5
