"""Jobs of purchases: one domain call each; an order is not lost to a broker that is away, nor does it wait for one."""

import time

import pytest
from django.utils import timezone

from lago_sync import tasks
from lago_sync.models import Purchase
from tests.factories.broker import jobs_go_to

pytestmark = pytest.mark.django_db


def test_advances_one_purchase_and_what_is_due(shop):
    purchase = shop.order()
    tasks.advance_purchase(str(purchase.pk))
    purchase.refresh_from_db()
    assert purchase.status == "awaiting_payment"
    Purchase.objects.update(due_at=timezone.now())
    assert tasks.advance_due() == 1


@pytest.mark.parametrize("broker", ["redis+socket:///tmp/no-such.sock", "redis://127.0.0.1:9/0"])
def test_a_broker_that_is_away_is_only_said_and_at_once(shop, broker, caplog):
    purchase, began = shop.order(), time.monotonic()
    with jobs_go_to(broker):
        tasks.enqueue_advance(purchase.pk)
    assert time.monotonic() - began < 3
    assert "left to the schedule" in caplog.text
    assert tasks.advance_due() == 1


def test_what_is_enqueued_is_the_task_with_the_purchases_id(shop, monkeypatch):
    sent = []
    monkeypatch.setattr(
        tasks.advance_purchase, "apply_async", lambda arguments, **options: sent.append((arguments, options))
    )
    purchase = shop.order()
    tasks.enqueue_advance(purchase.pk)
    [(arguments, options)] = sent
    assert arguments == (str(purchase.pk),)
    assert (options["retry"], options["expires"]) == (False, 60)
