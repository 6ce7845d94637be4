"""All that Lago told of an organization, in any order and any number: the same state in the end, and what Lago shows."""

import random
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from credits.models import Grant
from lago_sync.inbox import handling
from lago_sync.models import (
    LagoCreditNote,
    LagoInvoice,
    LagoSubscription,
    PaymentMethod,
    Purchase,
    Refund,
    WebhookMessage,
)
from orgs.models import PlanFee, Subscription
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.inbox.story import received
from tests.lago_sync.reconcile.story import DAY, Story

pytestmark = pytest.mark.django_db


def state(team):
    """Return everything that webhooks can change here, without when it was looked at."""
    mine = {"organization": team}
    return {
        "subscriptions": sorted(
            LagoSubscription.objects.filter(**mine).values_list(
                "lago_id", "plan_code", "status", "next_plan_code"
            )
        ),
        "facts": sorted(Subscription.objects.filter(**mine).values_list("plan__code", "status")),
        "fees": sorted(
            PlanFee.objects.filter(subscription__organization=team).values_list(
                "plan__code", "amount_cents", "credited_cents"
            )
        ),
        "purchases": sorted(Purchase.objects.filter(**mine).values_list("idempotency_key", "status")),
        "refunds": sorted(
            Refund.objects.filter(purchase__organization=team).values_list("credits", "withdrawn", "owed")
        ),
        "grants": sorted(Grant.objects.filter(**mine).values_list("source", "credits")),
        "invoices": sorted(
            LagoInvoice.objects.filter(**mine).values_list(
                "number", "status", "payment_status", "is_disputed"
            )
        ),
        "notes": sorted(LagoCreditNote.objects.filter(**mine).values_list("number", "credit_status")),
        "cards": sorted(PaymentMethod.objects.filter(**mine).values_list("lago_id", "is_default")),
    }


@pytest.fixture
def story(lago, settings):
    return Story(lago, settings)


def much_happens(story):
    """Let a team subscribe, pay, buy three times (paid, declined, paid and disputed), upgrade, plan a downgrade, change a card."""
    lago, team = story.lago, story.team("starter")
    [invoice] = story.invoices(team)
    lago.pay(invoice["lago_id"])
    paid, declined, disputed = (story.advance(story.order(team)) for _ in range(3))
    for one in (paid, disputed):
        lago.pay(str(one.invoice_id))
    lago.decline(str(declined.invoice_id))
    lago.drain()
    lago.lose_dispute(str(disputed.invoice_id))
    lago.advance(10 * DAY)
    change = {"external_customer_id": team.public_id, "external_id": f"sub_{team.public_id}"}
    for plan_code in ("professional", "starter"):
        answer = lago.api("POST", "subscriptions", json={"subscription": change | {"plan_code": plan_code}})
        assert answer.status_code == 200, answer.text
        lago.drain()
    for invoice in story.invoices(team):
        if invoice["payment_status"] != "succeeded":
            lago.pay(invoice["lago_id"])
    lago.drain()
    return team


def told(story, team):
    """Return every message that Lago has written, and some that nobody sent."""
    story.lago.flush()
    written = [one["body"].encode() for one in story.lago.dump()["delivery"] if one["body"]]
    customer = {"external_id": team.public_id}
    mine = [
        message(kind, customer=customer) for kind in ("customer.updated", "customer.payment_provider_created")
    ]
    return [
        *written,
        *mine,
        message("quote.made_of_cheese"),
        message("subscription.updated", subscription=None),
    ]


def hear(bodies):
    """Receive all, handling some in between as workers would, and then whatever is left."""
    for number, body in enumerate(bodies):
        received(body)
        if number % 3 == 0:
            handling.handle_due(now=timezone.now())
    for minutes in range(2, 30, 2):
        handling.handle_due(now=timezone.now() + timedelta(minutes=minutes))


@pytest.mark.parametrize("orders", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_any_order_and_any_repeats_end_in_one_state(story, orders):
    team = much_happens(story)
    bodies = told(story, team)
    kinds = {body.split(b'"')[3].decode() for body in bodies}
    assert {
        "subscription.started",
        "subscription.updated",
        "subscription.terminated",
        "invoice.created",
        "invoice.payment_status_updated",
        "invoice.payment_dispute_lost",
        "wallet_transaction.updated",
        "credit_note.created",
    } <= kinds
    chance, found = random.Random(20261121), []
    for _ in range(orders):
        before = transaction.savepoint()
        some = [body for body in bodies for _ in range(chance.randint(1, 2))]
        chance.shuffle(some)
        hear(some)
        assert not WebhookMessage.objects.exclude(state__in=("handled", "ignored")).exists()
        found.append(state(team))
        transaction.savepoint_rollback(before)
    assert all(one == found[0] for one in found), found
    one = found[0]
    assert sorted(status for _, status in one["purchases"]) == ["completed", "declined", "disputed"]
    assert [plan for plan, status in one["facts"] if status == "active"] == ["professional"]
    assert len(one["invoices"]) >= 5
    assert any(disputed for *_, disputed in one["invoices"])
