"""Verifying every chain: what is broken, and when it was last looked at. The proof is an event of the platform's chain."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from kit import transactions
from orgs.audit import events
from orgs.audit.models import PLATFORM, AuditEvent, AuditHead

logger = logging.getLogger(__name__)

_A_DAY: Final = timedelta(days=1)
_ACTION: Final = "audit.verified"
_MOST_KEPT: Final = 20
"""Broken links that the proof keeps as sentences; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a verification found: how many chains and events there are, broken links, and the first of them."""

    at: datetime
    chains: int
    events: int
    broken: int
    found: tuple[str, ...]


def verify_daily(*, now: datetime) -> int:
    """Verify every chain unless that was done within a day; returns how many links are broken, of the last time too.

    The job asks often, so that a portal that is started anew each morning verifies as well.
    """
    proof = last()
    return verify_all() if proof is None or now - proof.at >= _A_DAY else proof.broken


def verify_all() -> int:
    """Verify every chain and write what was found, at error level in the log where a link is broken; returns how many.

    Call it outside of a transaction. It mends nothing: evidence cannot be mended.
    """
    chains = events.chains()
    broken, found = 0, list[str]()
    for chain in chains:
        links = list(events.verify(organization=chain))
        broken += len(links)
        found += islice(links, _MOST_KEPT - len(found))
    if broken:
        logger.error("audit.broken: %s links, first %s", broken, found[0])
    sequences = AuditHead.objects.values_list("sequence", flat=True)
    facts = {"chains": len(chains), "events": sum(sequences), "broken": broken, "found": found}
    with transactions.durable():
        events.record(organization=PLATFORM, by=events.SYSTEM, action=_ACTION, after=facts)
    return broken


def last() -> Proof | None:
    """Return the newest verification, None before the first."""
    rows = AuditEvent.objects.filter(organization=PLATFORM, action=_ACTION)
    event = rows.order_by("-sequence").first()
    if event is None:
        return None
    told = event.after
    return Proof(
        at=event.at,
        chains=told["chains"],
        events=told["events"],
        broken=told["broken"],
        found=tuple(told["found"]),
    )
