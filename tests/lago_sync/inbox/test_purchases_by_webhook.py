"""What webhooks bring about: in any order, any number of times, forged or true, a paid purchase is granted once."""

import itertools
import json
import random

import pytest
from django.db import connection
from django.utils import timezone

from lago_sync.inbox import handling
from lago_sync.models import Purchase, WebhookMessage
from lago_sync.setup import webhook_key
from tests.concurrency.racing import race
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.inbox.story import bought, heard, listen, received, states


@pytest.fixture
def listening(lago):
    listen(lago)
    return lago


@pytest.mark.django_db
class TestOnePurchase:
    def test_the_sandbox_tells_of_a_purchase_as_lago_does(self, listening):
        one = bought(listening)
        one.pay()
        assert set(one.webhooks()) >= {
            "wallet_transaction.created",
            "invoice.paid_credit_added",
            "invoice.payment_status_updated",
            "wallet_transaction.updated",
        }

    @pytest.mark.parametrize("kind", ["invoice.payment_status_updated", "wallet_transaction.updated"])
    def test_any_word_of_its_payment_completes_it(self, listening, kind):
        one = bought(listening)
        one.pay()
        assert heard(one.webhooks()[kind]).state == "handled"
        assert one.stands() == ("completed", 1)

    def test_a_declined_payment_is_shown_and_a_later_one_completes_it(self, listening):
        one = bought(listening)
        one.decline()
        for body in one.webhooks().values():
            heard(body)
        assert one.stands() == ("declined", 0)
        one.pay()
        for body in one.webhooks().values():
            heard(body)
        assert one.stands() == ("completed", 1)

    def test_the_credits_are_not_believed_before_they_are_paid_however_it_is_told(self, listening):
        """`invoice.paid_credit_added` is sent before any payment (reference/lago.md §2.7)."""
        one = bought(listening)
        for body in one.webhooks().values():
            assert heard(body).state in {"handled", "ignored"}
        assert one.stands() == ("awaiting_payment", 0)

    def test_a_message_that_says_paid_grants_nothing_while_lago_does_not(self, listening):
        one = bought(listening)
        now = Purchase.objects.get(pk=one.purchase.pk)
        lies = [
            message(
                "wallet_transaction.updated",
                wallet_transaction={
                    "lago_id": str(now.wallet_transaction_id),
                    "status": "settled",
                    "transaction_status": "purchased",
                    "amount": "1000000.0",
                    "credit_amount": "1000000.0",
                },
            ),
            message(
                "invoice.payment_status_updated",
                invoice={
                    "lago_id": str(now.invoice_id),
                    "payment_status": "succeeded",
                    "total_amount_cents": 1,
                },
            ),
            message("payment.succeeded", payment={"invoice_ids": [str(now.invoice_id)]}),
        ]
        for lie in lies:
            assert heard(lie).state == "handled"
        assert one.stands() == ("awaiting_payment", 0)

    @pytest.mark.parametrize(
        ("kind", "about"),
        [
            ("wallet_transaction.created", "the metadata"),
            ("wallet_transaction.updated", "the transaction"),
            ("wallet_transaction.payment_failure", "the transaction's error"),
            ("invoice.payment_status_updated", "the invoice"),
            ("invoice.payment_failure", "the invoice's error"),
            ("invoice.payment_dispute_lost", "the invoice inside"),
            ("payment.succeeded", "the payment"),
        ],
    )
    def test_a_purchase_is_found_by_all_that_can_name_it(self, listening, kind, about):
        one = bought(listening)
        one.pay()
        now = Purchase.objects.get(pk=one.purchase.pk)
        transaction, invoice = str(now.wallet_transaction_id), str(now.invoice_id)
        things = {
            "the metadata": {"wallet_transaction": {"metadata": [{"key": "purchase", "value": now.key}]}},
            "the transaction": {"wallet_transaction": {"lago_id": transaction}},
            "the transaction's error": {
                "payment_provider_wallet_transaction_payment_error": {
                    "lago_wallet_transaction_id": transaction
                }
            },
            "the invoice": {"invoice": {"lago_id": invoice}},
            "the invoice's error": {"payment_provider_invoice_payment_error": {"lago_invoice_id": invoice}},
            "the invoice inside": {"payment_dispute_lost": {"invoice": {"lago_id": invoice}}},
            "the payment": {"payment": {"invoice_ids": [invoice]}},
        }
        assert heard(message(kind, **things[about])).state == "handled"
        assert one.stands() == ("completed", 1)

    def test_a_message_about_anothers_purchase_moves_only_that(self, listening):
        one, other = bought(listening), bought(listening)
        one.pay()
        for body in other.webhooks().values():
            heard(body)
        assert (one.stands(), other.stands()) == (("awaiting_payment", 0), ("awaiting_payment", 0))


@pytest.mark.django_db
def test_every_order_and_any_repeats_end_in_one_grant(listening):
    """In all 24 orders of a purchase's messages, each told up to three times, some of them before it is paid."""
    chance = random.Random(20260101)
    kinds = (
        "wallet_transaction.created",
        "invoice.paid_credit_added",
        "invoice.payment_status_updated",
        "wallet_transaction.updated",
    )
    for order in itertools.permutations(kinds):
        one = bought(listening)
        before = one.webhooks()
        early = [before[kind] for kind in order if kind in before]
        for body in chance.choices(early, k=chance.randint(0, 3)):
            heard(body)
        assert one.stands() == ("awaiting_payment", 0)
        one.pay()
        written = one.webhooks()
        told = [written[kind] for kind in order for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.5:
            chance.shuffle(told)
        for body in told:
            assert heard(body).state in {"handled", "ignored"}
        assert one.stands() == ("completed", 1), order
    assert set(states()) <= {"handled", "ignored"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
class TestAtOnce:
    def test_eight_workers_that_hear_of_one_payment_at_once_grant_once(self, listening):
        one = bought(listening)
        one.pay()
        told = [received(body).pk for body in one.webhooks().values()]
        eight = (told * 8)[:8]
        outcomes = race([lambda pk=pk: handling.handle(message_id=pk, now=timezone.now()) for pk in eight])
        assert not [one for one in outcomes if isinstance(one, BaseException)], outcomes
        handling.handle_due(now=timezone.now() + timezone.timedelta(minutes=10))
        assert one.stands() == ("completed", 1)
        assert set(states()) <= {"handled", "ignored"}

    def test_one_message_is_handled_by_one_worker_however_many_ask_for_it(self, listening):
        one = bought(listening)
        one.pay()
        told = received(one.webhooks()["wallet_transaction.updated"])
        outcomes = race([lambda: handling.handle(message_id=told.pk, now=timezone.now())] * 6)
        assert sorted(outcomes) == [False] * 5 + [True]
        assert WebhookMessage.objects.get().attempts == 1
        assert one.stands() == ("completed", 1)

    def test_twins_that_arrive_at_once_are_one_row(self, listening):
        body = json.dumps({"webhook_type": "customer.updated"}).encode()
        for keys in (["twin"] * 8, [f"key {number}" for number in range(8)]):
            WebhookMessage.objects.all().delete()
            outcomes = race([lambda key=key: received(body, unique=key) for key in keys])
            assert len([one for one in outcomes if isinstance(one, WebhookMessage)]) == 1
            assert [one for one in outcomes if not isinstance(one, WebhookMessage)] == [None] * 7
            assert WebhookMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
@pytest.mark.parametrize("algorithm", ["hmac", "jwt"])
def test_the_sandboxs_own_webhooks_complete_a_purchase(lago, live_server, monkeypatch, settings, algorithm):
    """From the sandbox over HTTP to the portal, shuffled and each told twice; for jwt by the key that it shows."""
    settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM = algorithm
    if algorithm == "jwt":
        assert webhook_key.differs()
        assert webhook_key.pin(now=timezone.now()).startswith("Key of webhooks pinned")
        assert webhook_key.pin(now=timezone.now()).startswith("The key of webhooks is pinned")
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # the server's threads outlive the test
    lago.settings(webhook_shuffle=True, webhook_duplicate=True, webhook_wait_scale=0.0)
    endpoint = {"webhook_url": f"{live_server.url}/webhooks/lago", "signature_algo": algorithm}
    assert lago.api("POST", "webhook_endpoints", json={"webhook_endpoint": endpoint}).status_code == 200
    one = bought(lago)
    one.pay()
    lago.flush()
    deliveries = lago.dump()["delivery"]
    assert {one["status"] for one in deliveries} == {"succeeded"}
    assert WebhookMessage.objects.count() == len(deliveries) >= 4
    handling.handle_due(now=timezone.now())
    assert one.stands() == ("completed", 1)
    assert set(states()) <= {"handled", "ignored"}
