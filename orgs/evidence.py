"""The audit log as people read it: names beside public ids, what changed line by line, and all of it as a file."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format

from kit import instants, spreadsheets
from orgs import labels
from orgs.audit import trail
from orgs.audit.models import AuditEvent
from orgs.audit.trail import Search
from orgs.models import Organization

HEADS: Final = (
    "sequence", "at", "action", "actor_kind", "actor", "actor_name", "address", "target", "target_name", "before", "after",
    "previous_hash", "hash",
)  # fmt: skip

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*")
_PORTAL: Final = "The portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact of an event; `before` or `after` is None where the event does not tell it."""

    label: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event; a name is empty where nothing of that id is known."""

    event: AuditEvent
    action: str
    actor: str
    target: str
    changes: Sequence[Change]


def days(
    *, since: date | None, until: date | None, organization: Organization
) -> tuple[datetime | None, datetime | None]:
    """Return the instants between which these days lie in the organization's calendar, the end not included."""
    zone = ZoneInfo(organization.time_zone)
    first = None if since is None else datetime.combine(since, time.min, zone)
    last = None if until is None else datetime.combine(until + timedelta(days=1), time.min, zone)
    return first, last


def lines(found: Sequence[AuditEvent]) -> list[Line]:
    """Return the events with names for what they name; a few queries however many there are."""
    names = _names(found)
    return [
        Line(
            event=event,
            action=words(event.action),
            actor=_actor(event, names),
            target=names.get(event.target, ""),
            changes=_changes(event, names),
        )
        for event in found
    ]


def words(action: str) -> str:
    """Return the name of an act as words: `department.manager_added` is "Department manager added"."""
    return action.replace(".", " ").replace("_", " ").capitalize()


def csv(*, organization: Organization, search: Search) -> Iterator[str]:
    """Yield all events of a search as a CSV file, newest first: as they are in the log, names added, no cell a formula."""
    yield spreadsheets.line(HEADS)
    for found in trail.pages(chain=organization.public_id, search=search):
        names = _names(found, inside=False)
        yield "".join(spreadsheets.line(_cells(event, names)) for event in found)


def _cells(event: AuditEvent, names: Mapping[str, str]) -> Iterable[object]:
    return (
        event.sequence,
        event.at.isoformat(),
        event.action,
        event.actor_kind,
        event.actor,
        _actor(event, names),
        event.address,
        event.target,
        names.get(event.target, ""),
        json.dumps(event.before, ensure_ascii=False, sort_keys=True),
        json.dumps(event.after, ensure_ascii=False, sort_keys=True),
        event.previous_hash,
        event.hash,
    )


def _actor(event: AuditEvent, names: Mapping[str, str]) -> str:
    return names.get(event.actor, _PORTAL if event.actor_kind == "system" else "")


def _names(found: Iterable[AuditEvent], *, inside: bool = True) -> dict[str, str]:
    """Return the name of every id that the events name; `inside` their facts too."""
    ids: set[str] = set()
    for event in found:
        ids |= {event.actor, event.target}
        if inside:
            ids |= set(_texts(event.before)) | set(_texts(event.after))
    return labels.of(ids)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _changes(event: AuditEvent, names: Mapping[str, str]) -> list[Change]:
    """Return what the event tells, what changed first; what stayed as it was is left out where something changed."""
    before, after = event.before, event.after
    both = [name for name in after if name in before and before[name] != after[name]]
    others = [name for name in (*before, *after) if (name in before) != (name in after)]
    return [
        Change(
            label=name.replace("_", " "),
            before=_shown(before[name], names) if name in before else None,
            after=_shown(after[name], names) if name in after else None,
        )
        for name in [*both, *others] or list(after)
    ]


def _shown(value: Any, names: Mapping[str, str]) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(one, names) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_shown(one, names)}" for name, one in value.items())
    text = str(value)
    if isinstance(value, str) and _INSTANT.fullmatch(text) and (at := instants.utc(text)) is not None:
        return date_format(timezone.localtime(at), "j M Y, H:i")
    return names.get(text, text)
