"""A flood of webhooks: of nobody, of no known type, unsigned, too large. Each is answered, none is an error of ours."""

import resource
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync.inbox import handling
from lago_sync.models import WebhookMessage
from orgs.models import Organization
from tests.factories import orgs
from tests.lago_sync.inbox.messages import message, send

pytestmark = pytest.mark.django_db

KINDS = (
    "customer.updated",
    "subscription.updated",
    "subscription.terminated",
    "invoice.created",
    "invoice.payment_status_updated",
    "invoice.payment_dispute_lost",
    "credit_note.created",
    "payment.succeeded",
    "wallet_transaction.updated",
    "wallet.updated",
    "events.errors",
    "quote.made_of_cheese",
    "",
)


def of_nobody(number):
    """Return a message about an organization that is not here, in each of the shapes that Lago has."""
    stranger = {"external_id": f"org_stranger{number}", "external_customer_id": f"org_stranger{number}"}
    thing = {**stranger, "lago_id": str(uuid4()), "customer": stranger, "metadata": [{"key": "purchase", "value": str(uuid4())}]}  # fmt: skip
    kind = KINDS[number % len(KINDS)]
    return message(
        kind, **dict.fromkeys(("customer", "subscription", "invoice", "credit_note", "payment"), thing)
    )


@pytest.mark.parametrize("count", [52, pytest.param(400, marks=pytest.mark.slow)])
def test_a_flood_of_strangers_and_forgers_leaves_nothing_but_ignored_rows(lago, count):
    """Five hundred with the forged and the large ones, in the long run."""
    archived = orgs.team()
    Organization.objects.filter(pk=archived.pk).update(status=Organization.Status.ARCHIVED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = Counter()
    for number in range(count):
        answers[send(of_nobody(number)).status_code] += 1
    for number in range(count // 10):
        answers[send(of_nobody(number), X_Lago_Signature="AAAA").status_code] += 1
        answers[send(b"[" * 1000 + bytes(str(number), "ascii")).status_code] += 1
    for size in (1024 * 1024 + 1, 10 * 1024 * 1024):
        for _ in range(3):
            answers[send(b" " * size, X_Lago_Signature="AAAA").status_code] += 1
    about_archived = message("invoice.created", invoice={"customer": {"external_id": archived.public_id}})
    answers[send(about_archived).status_code] += 1
    assert answers == {200: count + 1, 401: count // 10, 400: count // 10, 413: 6}
    for minutes in range(10):
        handling.handle_due(now=timezone.now() + timedelta(minutes=minutes))
    assert Counter(WebhookMessage.objects.values_list("state", flat=True)) == {"ignored": count + 1}
    assert sum(one["count"] for one in lago.dump()["requests"]) == 0  # strangers make nobody ask Lago
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024, f"{grown} KiB"


@pytest.mark.parametrize("depth", [50, 100_000])
def test_a_signed_message_of_any_depth_is_stored_or_refused_and_handled(lago, depth):
    body = b'{"webhook_type":"invoice.created","invoice":' + b"[" * depth + b"]" * depth + b"}"
    status = send(body).status_code
    assert status in {200, 400}
    handling.handle_due(now=timezone.now())
    assert set(WebhookMessage.objects.values_list("state", flat=True)) <= {"ignored"}
