"""Handling webhooks: each says "look again" at a purchase or a subscription, so any order and any repetition ends the same."""

import json
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Count, F, Min
from django.db.models.functions import Least

from kit import transactions
from kit.errors import Conflict, DomainError
from lago_sync.customers import methods
from lago_sync.errors import LagoIntegrationError, LagoRefused
from lago_sync.inbox import naming
from lago_sync.invoices import mirror
from lago_sync.models import WebhookMessage
from lago_sync.outbox.claims import backoff
from lago_sync.purchases import advancing, disputes
from lago_sync.subscriptions import plans
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.audit.models import PLATFORM

logger = logging.getLogger(__name__)

State = WebhookMessage.State

FAILURES: Final = 5
"""How often handling a message may fail before it waits for somebody to look at it."""
SECONDS: Final = 20
COUNTED: Final = 10_000

_LEASE: Final = timedelta(minutes=5)
_AT_ONCE: Final = 100
_REASON: Final = 500
_OF_PURCHASES: Final = ("wallet_transaction.", "invoice.", "payment.")
_OF_NOTES: Final = "credit_note."
_OF_INVOICES: Final = ("invoice.", "payment.", _OF_NOTES)
_OF_DISPUTES: Final = "invoice.payment_dispute_lost"
_OF_SUBSCRIPTIONS: Final = "subscription."
_OF_METHODS: Final = ("customer.updated", "customer.payment_provider_created")
"""Where a card may have been stored; Lago has no word of its own for it."""
_OF_FEES: Final = ("invoice.created", "invoice.payment_status_updated")
"""Where a plan's invoice may have become paid; a fee of nothing is from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxStanding:
    """Where the inbox stands; `waiting` and `dead` are counted up to 10,000, `oldest_waiting_at` is among those."""

    waiting: int
    oldest_waiting_at: datetime | None
    dead: int
    last_received_at: datetime | None


def handle(*, message_id: int, now: datetime) -> bool:
    """Handle a message if it is due and nobody else has it; returns whether it was done.

    The attempt is counted and committed first, so that a message which takes its worker down ends as a dead letter.
    Asks Lago, so no transaction may be open. Where Lago is away the message waits, and nothing is counted against it.
    """
    message = _claim(message_id, now)
    if message is None:
        return False
    try:
        state = _act(message, now)
    except LagoRefused as error:
        _failed(message, error, now)
    except LagoIntegrationError as error:
        _put_back(message, error, now)
    except Exception as error:  # whatever it is, it is this message's, and the next one must not wait for it
        logger.exception("webhook %s could not be handled", message.unique_key)
        _failed(message, error, now)
    else:
        return _done(message, state, now)
    return False


def handle_due(*, now: datetime) -> int:
    """Handle what is due, for at most 20 seconds; returns how many messages that were. Any number may do so at once."""
    started = time.monotonic()
    _bury(now)
    due = WebhookMessage.objects.filter(state=State.WAITING, due_at__lte=now).order_by("due_at", "pk")
    done = 0
    for message_id in due.values_list("pk", flat=True)[:_AT_ONCE]:
        passed = time.monotonic() - started
        if passed > SECONDS:
            break
        done += handle(message_id=message_id, now=now + timedelta(seconds=passed))
    return done


def dead(*, organization: str = "", since: datetime | None = None) -> models.QuerySet[WebhookMessage]:
    """Return the dead letters that name an organization (public id, "" for all) and came since a moment, oldest first."""
    found = WebhookMessage.objects.filter(state=State.DEAD).order_by("pk")
    if organization:
        found = found.filter(body__contains=organization)
    return found if since is None else found.filter(received_at__gte=since)


def replay(*, message: WebhookMessage, by: Actor, now: datetime) -> WebhookMessage:
    """Let a dead letter try again from the start; raises Conflict for another."""
    transactions.require()
    locked = WebhookMessage.objects.select_for_update(no_key=True).get(pk=message.pk)
    if locked.state != State.DEAD:
        raise Conflict("Only a dead letter is handled again.", state=locked.state)
    why = locked.last_error
    locked.state, locked.due_at, locked.last_error = State.WAITING, now, ""
    locked.attempts = locked.failures = 0
    locked.save(update_fields=["state", "due_at", "last_error", "attempts", "failures"])
    events.record(
        organization=PLATFORM,
        by=by,
        action="webhook.replayed",
        target=locked.unique_key,
        before={"state": State.DEAD, "last_error": why},
        after={"state": State.WAITING, "webhook_type": locked.webhook_type},
    )
    return locked


def standing() -> InboxStanding:
    """Return where the inbox stands, at a cost that does not grow with it."""
    newest = WebhookMessage.objects.order_by("-pk").first()
    waiting = WebhookMessage.objects.filter(state=State.WAITING)[:COUNTED].aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    return InboxStanding(
        waiting=waiting["count"],
        oldest_waiting_at=waiting["oldest"],
        dead=WebhookMessage.objects.filter(state=State.DEAD)[:COUNTED].count(),
        last_received_at=newest.received_at if newest else None,
    )


def _claim(message_id: int, now: datetime) -> WebhookMessage | None:
    """Take the message for five minutes; None where it is done, not due or somebody else's."""
    due = WebhookMessage.objects.filter(
        pk=message_id, state=State.WAITING, due_at__lte=now, failures__lt=FAILURES
    )
    with transactions.durable():
        taken = due.update(
            due_at=now + _LEASE, attempts=Least(F("attempts") + 1, 30_000), failures=F("failures") + 1
        )
    return WebhookMessage.objects.get(pk=message_id) if taken else None


def _act(message: WebhookMessage, now: datetime) -> str:
    """Look again at what the message is about; returns the state that it ends in."""
    body = json.loads(message.body)
    named = naming.purchases(body) if message.webhook_type.startswith(_OF_PURCHASES) else []
    for purchase_id in named:
        advancing.advance(purchase_id=purchase_id, now=now)
        if message.webhook_type == _OF_DISPUTES:
            disputes.look(purchase_id=purchase_id, now=now)
    billed = naming.invoices(body) if message.webhook_type.startswith(_OF_INVOICES) else []
    mirror.hear(invoice_ids=billed, has_note=message.webhook_type.startswith(_OF_NOTES), now=now)
    organization = None
    if message.webhook_type.startswith(_OF_SUBSCRIPTIONS):
        organization = naming.organization(body)
    elif message.webhook_type in _OF_FEES:
        organization = naming.payer_of_plan(body)
    if organization is not None:
        plans.refresh(organization=organization, now=now)
    customer = naming.customer(body) if message.webhook_type in _OF_METHODS else ""
    if customer:
        methods.refresh_one(public_id=customer, now=now)
    return State.HANDLED if named or billed or organization or customer else State.IGNORED


def _done(message: WebhookMessage, state: str, now: datetime) -> bool:
    with transactions.durable():
        _ours(message).update(state=state, handled_at=now, last_error="", failures=message.failures - 1)
    return True


def _failed(message: WebhookMessage, error: Exception, now: datetime) -> None:
    dead = message.failures >= FAILURES
    why = error.message if isinstance(error, DomainError) else f"{type(error).__name__}: {error}"
    with transactions.durable():
        _ours(message).update(
            state=State.DEAD if dead else State.WAITING,
            due_at=now + backoff(message.attempts),
            last_error=_storable(why),
        )


def _put_back(message: WebhookMessage, error: LagoIntegrationError, now: datetime) -> None:
    with transactions.durable():
        _ours(message).update(
            due_at=now + backoff(message.attempts),
            failures=message.failures - 1,
            last_error=_storable(error.message),
        )


def _ours(message: WebhookMessage) -> models.QuerySet[WebhookMessage]:
    """Return the row while our claim on it holds."""
    return WebhookMessage.objects.filter(pk=message.pk, state=State.WAITING, due_at=message.due_at)


def _bury(now: datetime) -> None:
    """Give up messages whose every attempt ended with the process that made it."""
    taken_down = WebhookMessage.objects.filter(state=State.WAITING, due_at__lte=now, failures__gte=FAILURES)
    with transactions.durable():
        taken_down.update(state=State.DEAD, last_error="Whoever was handling it ended each time.")


def _storable(why: str) -> str:
    return why.replace("\x00", "")[:_REASON]
