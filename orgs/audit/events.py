"""Audit events: `record` appends one to an organization's chain, `verify` walks the chain and names what broke."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from kit import transactions
from orgs.audit.models import PLATFORM, AuditEvent, AuditHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a user, a key or the portal itself, by public id, and from which address."""

    kind: str
    public_id: str
    address: str = ""


SYSTEM = Actor(kind="system", public_id="portal")


def record(
    *,
    organization: str,
    by: Actor,
    action: str,
    target: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append an event to the chain of `organization` (public id or `platform`), in the caller's transaction.

    The head is the last lock any transaction takes, so call this after everything else.
    """
    transactions.require()
    AuditHead.objects.bulk_create([AuditHead(organization=organization)], ignore_conflicts=True)
    head = AuditHead.objects.select_for_update(no_key=True).get(pk=organization)
    event = AuditEvent(
        organization=organization,
        sequence=head.sequence + 1,
        at=timezone.now(),
        actor_kind=by.kind,
        actor=by.public_id,
        address=by.address,
        action=action,
        target=target,
        before=_plain(before),
        after=_plain(after),
        previous_hash=head.hash,
    )
    event.hash = _digest(event)
    event.save(force_insert=True)
    head.sequence, head.hash = event.sequence, event.hash
    head.save(update_fields=["sequence", "hash"])
    return event


def verify(*, organization: str) -> Iterator[str]:
    """Yield a sentence for every broken link of the chain: a changed, missing, moved or cut-off event."""
    sequence, previous = 0, ""
    for event in AuditEvent.objects.filter(organization=organization).order_by("sequence").iterator():
        if event.sequence != sequence + 1:
            yield f"{organization}: event {sequence + 1} is missing before {event.sequence}"
        if event.previous_hash != previous:
            yield f"{organization}: event {event.sequence} does not follow from the one before"
        if event.hash != _digest(event):
            yield f"{organization}: event {event.sequence} was changed"
        sequence, previous = event.sequence, event.hash
    head = AuditHead.objects.filter(pk=organization).first()
    if (head.sequence, head.hash) != (sequence, previous) if head else sequence:
        yield f"{organization}: the head says {head.sequence if head else 0}, the last event is {sequence}"


def chains() -> list[str]:
    """Return every chain that has a head, the platform's included."""
    return list(AuditHead.objects.order_by("pk").values_list("pk", flat=True)) or [PLATFORM]


def _plain(values: dict[str, Any] | None) -> dict[str, Any]:
    """Return the values as JSON gives them back, so that what is hashed is what is read again."""
    plain: dict[str, Any] = json.loads(json.dumps(values or {}, cls=DjangoJSONEncoder))
    return plain


def _digest(event: AuditEvent) -> str:
    content = {
        "organization": event.organization,
        "sequence": event.sequence,
        "at": _instant(event.at),
        "actor": [event.actor_kind, event.actor, event.address],
        "action": event.action,
        "target": event.target,
        "before": event.before,
        "after": event.after,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((event.previous_hash + canonical).encode()).hexdigest()


def _instant(at: datetime) -> str:
    """Return the UTC instant to the microsecond, which is what PostgreSQL keeps."""
    return at.astimezone(timezone.get_fixed_timezone(0)).isoformat(timespec="microseconds")
