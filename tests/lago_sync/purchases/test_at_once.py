"""Twenty workers at one purchase: one top-up at Lago and one grant, and what happens when the lease is taken out."""

from decimal import Decimal
from threading import Barrier
from time import sleep
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from lago_sync.models import AutoTopUp, PaymentMethod, Purchase
from lago_sync.purchases import advancing, auto_orders, auto_top_ups, leases
from lago_sync.purchases.auto_top_ups import Terms
from lago_sync.purchases.leases import Lease
from tests.concurrency.racing import race
from tests.factories import credits as books
from tests.lago_sync.purchases.story import BUYER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


def together(purchase, count=20):
    outcomes = race([lambda: advancing.advance(purchase_id=purchase.pk, now=timezone.now())] * count)
    assert not [one for one in outcomes if isinstance(one, BaseException)], outcomes


@pytest.mark.parametrize("is_first", [True, False], ids=["no customer yet", "a wallet is there"])
def test_twenty_at_once_order_once_and_grant_once(shop, is_first):
    if not is_first:
        shop.advance(shop.order(key="earlier"))
    purchase = shop.order()
    together(purchase)
    shop.lago.drain()
    assert len(shop.top_ups(purchase)) == 1
    together(purchase)
    purchase.refresh_from_db()
    shop.pay(purchase.invoice_id)
    together(purchase)
    purchase.refresh_from_db()
    assert (purchase.status, shop.granted()) == ("completed", [5000])
    assert books.pool(shop.organization).available == 5000
    assert (len(shop.top_ups(purchase)), shop.audited().count("credits.purchased")) == (1, 1)


def test_without_the_lease_two_of_them_top_up_twice(shop, monkeypatch):
    """The control: everybody gets the lease, and both have looked before either sends."""
    shop.advance(shop.order(key="earlier"))
    purchase = shop.order()
    both_have_looked, look = Barrier(2), advancing._in_the_known_wallet

    def look_then_wait(of):
        found = look(of)
        both_have_looked.wait(timeout=10)
        return found

    monkeypatch.setattr(advancing, "_in_the_known_wallet", look_then_wait)
    monkeypatch.setattr(
        leases, "take", lambda *, purchase, now: Lease(Purchase.objects.get(pk=purchase.pk), 10**9)
    )
    together(purchase, 2)
    assert len(shop.top_ups(purchase)) == 2


def test_one_that_was_ordered_twice_so_is_still_granted_once_and_the_other_is_void(shop, monkeypatch):
    """What the control did, healed by the next look."""
    with monkeypatch.context() as patch:
        test_without_the_lease_two_of_them_top_up_twice(shop, patch)
    purchase = Purchase.objects.get(idempotency_key="a click")
    shop.lago.drain()
    purchase = shop.advance(shop.advance(purchase))
    shop.pay(purchase.invoice_id)
    assert shop.advance(purchase).status == "completed"
    assert sorted(shop.invoice(one["id"])["status"] for one in shop.top_ups(purchase)) == [
        "finalized",
        "voided",
    ]
    assert shop.granted() == [5000]


def test_jobs_side_by_side_share_what_is_due(shop):
    purchases = [shop.order(key=f"{number}") for number in range(6)]
    now = timezone.now()
    counts = race([lambda: advancing.advance_due(now=now)] * 3)
    assert sum(counts) == len(purchases)
    assert [len(shop.top_ups(one)) for one in purchases] == [1] * 6


def test_no_transaction_is_open_while_lago_is_asked(shop):
    """Sampled from another connection all through a purchase that Lago answers slowly."""
    shop.lago.faults({"method": ".*", "path": "/api/", "times": 99, "latency": 0.05})
    purchase, seen, over = shop.order(), [], []

    def watch():
        while not over:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND state = 'idle in transaction' AND now() - state_change > interval '25 ms'"
                )
                seen.append(cursor.fetchone()[0])
            sleep(0.005)

    def work():
        try:
            for _ in range(2):
                advancing.advance(purchase_id=purchase.pk, now=timezone.now())
                shop.lago.drain()
        finally:
            over.append(True)

    outcomes = race([watch, work])
    assert outcomes == [None, None]
    assert len(seen) > 50
    assert set(seen) == {0}


@pytest.fixture
def low_pool(settings):
    """Return an organization whose auto top-up would buy now."""
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    team = books.team(0)
    PaymentMethod.objects.create(
        lago_id=uuid4(), organization=team, is_default=True, synced_at=timezone.now()
    )
    terms = Terms(
        is_on=True, threshold=Decimal(100), package_code="credits-5000", credits=None,
        day_cap_cents=90_000, month_cap_cents=900_000,
    )  # fmt: skip
    with transaction.atomic():
        auto_top_ups.configure(organization=team, terms=terms, by=BUYER, now=timezone.now())
    return team


def topped_up(team, count=8):
    def job():
        with transaction.atomic():
            return auto_orders.place(organization=team, now=timezone.now())

    return race([job] * count)


def test_eight_jobs_of_auto_top_up_at_once_order_once(low_pool):
    outcomes = topped_up(low_pool)
    assert [one for one in outcomes if isinstance(one, BaseException)] == []
    assert sum(one is not None for one in outcomes) == Purchase.objects.count() == 1


def test_without_the_rows_lock_two_jobs_would_and_only_the_index_stops_them(low_pool, monkeypatch):
    """The control: both have looked for an open order before either places one."""
    both_have_looked, look = Barrier(2), auto_orders.open_purchase

    def look_then_wait(**of):
        found = look(**of)
        both_have_looked.wait(timeout=10)
        return found

    monkeypatch.setattr(auto_orders, "open_purchase", look_then_wait)
    monkeypatch.setattr(
        auto_orders, "_locked", lambda of: AutoTopUp.objects.select_related("organization").get(pk=of.pk)
    )
    outcomes = topped_up(low_pool, 2)
    assert sorted(type(one).__name__ for one in outcomes) == ["Conflict", "Purchase"]
    assert Purchase.objects.count() == 1
