"""Sending messages: three attempts with Lago's waits, then never again."""

import random
from datetime import timedelta

import requests

from lago_sandbox import clock, store, switches
from lago_sandbox.models import Delivery
from lago_sandbox.webhooks import payloads, signing

ATTEMPTS = 3
_ACCEPTED = (200, 201, 202, 204)
_session = requests.Session()
_session.trust_env = False


def send_next() -> float:
    """Send one message that is due; return the seconds until the next one, 0 to be called again at once."""
    due = Delivery.objects.filter(status="pending", due_at__lte=clock.now()).order_by("due_at", "position")
    if switches.read("webhook_shuffle"):
        due = due.order_by("?")
    delivery = due.select_related("endpoint").first()
    if delivery is None:
        waiting = Delivery.objects.filter(status="pending").order_by("due_at")
        return clock.until(waiting.values_list("due_at", flat=True).first())
    if switches.read("webhook_drop"):
        _finish(delivery, "dropped", "dropped by the control plane")
        return 0.0
    body = _body(delivery)
    answered = _post(delivery, body)
    if answered in map(str, _ACCEPTED) and switches.read("webhook_duplicate"):
        _post(delivery, body)
    _note(delivery, answered)
    return 0.0


def _body(delivery: Delivery) -> bytes:
    if delivery.body is None:
        delivery.body = signing.encode(payloads.message(delivery))
    return delivery.body.encode()


def _post(delivery: Delivery, body: bytes) -> str:
    """Return the status, or what went wrong."""
    headers = {
        "Content-Type": "application/json",
        "X-Lago-Signature": signing.signature(delivery.endpoint.signature_algo, body),
        "X-Lago-Signature-Algorithm": delivery.endpoint.signature_algo,
        "X-Lago-Unique-Key": str(delivery.id),
    }
    try:
        answer = _session.post(
            delivery.endpoint.webhook_url,
            data=body,
            headers=headers,
            timeout=switches.read("webhook_timeout"),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return type(error).__name__
    return str(answer.status_code)


@store.writes
def _note(delivery: Delivery, answered: str) -> None:
    attempts = delivery.attempts + 1
    status = (
        "succeeded" if answered in map(str, _ACCEPTED) else "pending" if attempts < ATTEMPTS else "failed"
    )
    Delivery.objects.filter(pk=delivery.pk).update(
        attempts=attempts,
        status=status,
        answered=answered,
        body=delivery.body,
        due_at=clock.now() + timedelta(seconds=_wait(attempts)) if status == "pending" else delivery.due_at,
    )


@store.writes
def _finish(delivery: Delivery, status: str, answered: str) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(status=status, answered=answered)


def _wait(attempts: int) -> float:
    """Return Lago's seconds after an attempt: n^4 and up to 15 % of it, and two."""
    jitter = random.random() * 0.15  # noqa: S311 - a wait, not a secret
    return float((attempts**4 * (1 + jitter) + 2) * switches.read("webhook_wait_scale"))
