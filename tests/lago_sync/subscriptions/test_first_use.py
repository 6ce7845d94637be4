"""Eight workers that use an organization at Lago for the first time at once, against the real sandbox. With the control."""

from collections import Counter
from contextlib import nullcontext
from threading import Barrier

import pytest
from django.utils import timezone

from kit.errors import TryAgain
from lago_sync.customers import linking
from lago_sync.models import LagoCustomer
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import plans
from orgs.audit.events import SYSTEM
from tests.factories import orgs
from tests.orgs.racing import race

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture
def team(lago):
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
    return orgs.team("Racers")


def use_it_first(team, plan_code):
    def run():
        now = timezone.now()
        customer = linking.ensure_customer(organization=team, now=now)
        linking.ensure_wallet(customer=customer, now=now)
        plans.subscribe(organization=team, plan_code=plan_code, by=SYSTEM, now=now)

    return run


def workers(team):
    return [use_it_first(team, code) for code in ("starter", "professional") for _ in range(4)]


def test_end_in_one_customer_one_wallet_and_one_subscription(lago, team):
    outcomes = Counter(type(one) for one in race(*workers(team)))
    assert 1 <= outcomes[type(None)] <= 4  # who asked for the same plan may find it started
    assert outcomes[type(None)] + outcomes[TryAgain] + outcomes[plans.SubscriptionExists] == 8
    assert lago.requested("POST", "/api/v1/subscriptions") == 1
    rows = lago.dump()
    assert [len(rows[name]) for name in ("customer", "wallet", "subscription")] == [1, 1, 1]
    assert LagoCustomer.objects.get().wallet_id is not None
    assert plans.refresh(organization=team, now=timezone.now()).plan_code in {"starter", "professional"}


def test_without_the_lease_lago_would_take_the_second_plan_for_a_change(lago, team, monkeypatch):
    monkeypatch.setattr(plans, "_lease", lambda *_: nullcontext(plans._Lease()))
    looked, start = Barrier(8), plans._start

    def when_all_have_looked(*given):
        looked.wait(timeout=30)
        start(*given)

    monkeypatch.setattr(plans, "_start", when_all_have_looked)
    race(*workers(team))
    assert len(lago.dump()["subscription"]) > 1
