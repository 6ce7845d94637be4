"""Whoever dies between any two steps of taking in a webhook and handling it: one row, one grant."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.factories.lago import HMAC_KEY

pytestmark = pytest.mark.concurrency

HEARING = "tests.faults.hearing"
LEASE_OVER = timedelta(minutes=10)


def now(later=timedelta(0)):
    return (datetime.now(UTC) + later).isoformat()


@pytest.fixture
def stage(stage, lago):
    stage.settings = {
        "LAGO_API_URL": lago.url,
        "LAGO_API_KEY": lago.api_key,
        "LAGO_WEBHOOK_HMAC_KEY": HMAC_KEY,
    }
    return stage


def paid(stage, lago):
    """Bring a purchase to where it is paid at Lago and nobody here knows; returns organization and transaction."""
    organization, purchase = stage.do(f"{HEARING}:order", now=now())
    lago.drain()
    stage.do(f"{HEARING}:advance", purchase=purchase, now=now())
    [wallet] = lago.api("GET", f"customers/{organization}/wallets").json()["wallets"]
    [top_up] = lago.api("GET", f"wallets/{wallet['lago_id']}/wallet_transactions").json()[
        "wallet_transactions"
    ]
    lago.pay(top_up["lago_invoice_id"])
    lago.drain()
    return organization, top_up["lago_id"]


@pytest.mark.slow
def test_from_the_first_byte_to_the_grant(stage, lago, capsys):
    deaths = 0
    for step in itertools.count(1):
        organization, transaction = paid(stage, lago)
        told = {"transaction_id": transaction, "unique": f"message {step}"}
        taken = stage.live(f"{HEARING}:receive", now=now(), at=step, **told)
        if taken.died:
            stage.do(f"{HEARING}:receive", now=now(), **told)  # Lago repeats what was not answered
        left = step - len(taken.boundaries)
        handled = stage.live(f"{HEARING}:handle", now=now(timedelta(seconds=1)), at=max(left, 0))
        stage.do(f"{HEARING}:handle", now=now(LEASE_OVER))
        found = stage.do(f"{HEARING}:look", organization=organization, unique=f"message {step}")
        assert found == {"purchases": ["completed"], "grants": 1, "messages": ["handled"], "violations": []}
        if not taken.died and not handled.died:
            break
        deaths += 1
    assert deaths > 10, (taken.boundaries, handled.boundaries)
    with capsys.disabled():
        print(f"\n   deaths: {deaths}, purchases granted once: {step}")  # noqa: T201 - figures to quote
