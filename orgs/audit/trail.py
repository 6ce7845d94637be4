"""Looking through an organization's evidence: newest first, narrowed to what is asked for, a page or all of it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from orgs.audit.models import AuditEvent

_READ_TOGETHER: Final = 1000

_ACTIONS: Final = """
WITH RECURSIVE seen AS (
  (SELECT action FROM audit_auditevent WHERE organization = %(chain)s ORDER BY action LIMIT 1)
  UNION ALL
  SELECT (SELECT e.action FROM audit_auditevent e WHERE e.organization = %(chain)s AND e.action > seen.action
    ORDER BY e.action LIMIT 1) FROM seen WHERE seen.action IS NOT NULL)
SELECT action FROM seen WHERE action IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; everything that is empty matches.

    `text` is looked for in all that an event says. Events name people by public id, so `named` has the ids of those
    whose name has the text: an event that one of them did, or that was about one of them, matches too.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    named: Collection[str] = ()

    def condition(self) -> Q:
        """Return what an event must fulfil; `until` itself is not included."""
        exact = {"actor": self.actor, "action": self.action, "target": self.target}
        wanted = Q(**{name: value for name, value in exact.items() if value})
        if self.since is not None:
            wanted &= Q(at__gte=self.since)
        if self.until is not None:
            wanted &= Q(at__lt=self.until)
        if self.text:
            columns = ("action", "actor", "target", "address", "before_text", "after_text")
            found = Q(actor__in=self.named) | Q(target__in=self.named)
            for column in columns:
                found |= Q(**{f"{column}__icontains": self.text})
            wanted &= found
        return wanted


EVERYTHING: Final = Search()


def events(*, chain: str, search: Search = EVERYTHING, before: int | None = None) -> QuerySet[AuditEvent]:
    """Return the events of a chain (an organization's public id, or `platform`), newest first; `before` a sequence."""
    rows = AuditEvent.objects.filter(organization=chain)
    if search.text:
        rows = rows.annotate(before_text=Cast("before", TextField()), after_text=Cast("after", TextField()))
    rows = rows.filter(search.condition())
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    return rows.order_by("-sequence")


def pages(*, chain: str, search: Search = EVERYTHING) -> Iterator[list[AuditEvent]]:
    """Yield all of them, a thousand at a time: no cursor and no transaction stays open while somebody downloads."""
    before: int | None = None
    while found := list(events(chain=chain, search=search, before=before)[:_READ_TOGETHER]):
        yield found
        before = found[-1].sequence


def actions(*, chain: str) -> list[str]:
    """Return which actions a chain has, by name: as many look-ups in an index as there are, however many events."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIONS, {"chain": chain})
        return [action for (action,) in cursor.fetchall()]
