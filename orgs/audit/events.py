"""Audit events: `record` appends one to an organization's chain, `verify` walks the chain and names what broke."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What was done: to whom or what, and how that was before and after."""

    action: str
    target: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


_READ_TOGETHER: Final = 2000

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
    act = Act(action=action, target=target, before=before, after=after)
    return record_all(organization=organization, by=by, acts=[act])[0]


def record_all(*, organization: str, by: Actor, acts: Sequence[Act]) -> list[AuditEvent]:
    """Append many events in their order, each its own link of the chain; as many statements as for one."""
    transactions.require()
    AuditHead.objects.bulk_create([AuditHead(organization=organization)], ignore_conflicts=True)
    head = AuditHead.objects.select_for_update(no_key=True).get(pk=organization)
    made = []
    for act in acts:
        event = AuditEvent(
            organization=organization,
            sequence=head.sequence + 1,
            at=timezone.now(),
            actor_kind=by.kind,
            actor=by.public_id,
            address=by.address,
            action=act.action,
            target=act.target,
            before=_plain(act.before),
            after=_plain(act.after),
            previous_hash=head.hash,
        )
        event.hash = _digest(event)
        head.sequence, head.hash = event.sequence, event.hash
        made.append(event)
    AuditEvent.objects.bulk_create(made, batch_size=1000)
    head.save(update_fields=["sequence", "hash"])
    return made


def verify(*, organization: str) -> Iterator[str]:
    """Yield a sentence for every broken link of the chain: a changed, missing, moved or cut-off event.

    Events may be added meanwhile. Cutting off the end *and* winding back the head to fit leaves a shorter chain that is
    whole: only a head that was kept elsewhere (`verify_audit --json` prints it) tells of that.
    """
    sequence, previous, seen = 0, "", None
    head = _head(organization)
    while found := _after(organization, seen):
        for event in found:
            if event.sequence != sequence + 1:
                yield f"{organization}: event {sequence + 1} is missing before {event.sequence}"
            if event.previous_hash != previous:
                yield f"{organization}: event {event.sequence} does not follow from the one before"
            if event.hash != _digest(event):
                yield f"{organization}: event {event.sequence} was changed"
            seen = sequence = event.sequence
            previous = event.hash
        head = _head(organization)  # after the events: what is added now is found by the next look
    if (head.sequence, head.hash) != (sequence, previous) if head else sequence:
        yield f"{organization}: the head says {head.sequence if head else 0}, the last event is {sequence}"


def _head(organization: str) -> AuditHead | None:
    return AuditHead.objects.filter(pk=organization).first()


def _after(organization: str, sequence: int | None) -> list[AuditEvent]:
    """Return the next events of the chain, some thousands at most; from the first on where no sequence is named."""
    rows = AuditEvent.objects.filter(organization=organization).order_by("sequence")
    return list((rows if sequence is None else rows.filter(sequence__gt=sequence))[:_READ_TOGETHER])


def chains() -> list[str]:
    """Return every chain: of all that have a head or an event, the platform's always."""
    heads = AuditHead.objects.values_list("pk", flat=True)
    chained = AuditEvent.objects.order_by("organization").values_list("organization", flat=True).distinct()
    return sorted({PLATFORM, *heads, *chained})


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
