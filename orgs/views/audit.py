"""The audit page: who did what, when and from where, what it changed; searched, and handed out as a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from orgs import evidence, labels
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.audit import trail
from orgs.audit.trail import Search
from orgs.evidence import Line
from orgs.models import Organization

EVENTS_A_PAGE: Final = 50
_LONGEST_TEXT: Final = 100
_LONGEST_SEQUENCE: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks for; `problem` says why there is nothing to show, `start` and `end` are as they were typed."""

    search: Search
    text: str
    start: str
    end: str
    problem: str

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(
            self.text
            or self.start
            or self.end
            or self.search.action
            or self.search.actor
            or self.search.target
        )


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show a page of the organization's audit log, or hand out all that matches as a file."""
    organization = pages.organization(request, slug)
    pages.require(request, organization, Capability.ADMINISTER)
    asked = _asked(request.GET, organization)
    if request.GET.get("format") == "csv" and not asked.problem:
        return StreamingHttpResponse(
            evidence.csv(organization=organization, search=asked.search),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="audit-{organization.slug}.csv"'},
        )
    with timezone.override(organization.time_zone):
        found = [] if asked.problem else _found(request, organization, asked)
        shown, known = found[:EVENTS_A_PAGE], _known(asked)
        context = {
            "organization": organization,
            "asked": asked,
            "lines": shown,
            "older": shown[-1].event.sequence if len(found) > EVENTS_A_PAGE else None,
            "actions": [(name, evidence.words(name)) for name in trail.actions(chain=organization.public_id)],
            "actor": known.get(asked.search.actor, asked.search.actor),
            "target": known.get(asked.search.target, asked.search.target),
        }
        return render(request, "orgs/audit.html", context, status=422 if asked.problem else 200)


def _found(request: HttpRequest, organization: Organization, asked: Asked) -> Sequence[Line]:
    """Return the events of the page, and one more where there are older ones."""
    before = _text(request.GET, "before")
    cursor = (
        int(before) if before.isascii() and before.isdigit() and len(before) <= _LONGEST_SEQUENCE else None
    )
    rows = trail.events(chain=organization.public_id, search=asked.search, before=cursor)
    return evidence.lines(list(rows[: EVENTS_A_PAGE + 1]))


def _asked(query: Mapping[str, str], organization: Organization) -> Asked:
    text, start, end = (_text(query, name) for name in ("q", "start", "end"))
    since, until = _date(start), _date(end)
    problem = ""
    if (start and since is None) or (end and until is None):
        problem = "A date cannot be read. Write it as 2027-01-31."
    elif since is not None and until is not None and since > until:
        problem = "The first day lies after the last one."
    first, last = evidence.days(since=since, until=until, organization=organization)
    search = Search(
        actor=_text(query, "actor"),
        action=_text(query, "action"),
        target=_text(query, "target"),
        since=first,
        until=last,
        text=text,
        named=labels.named(organization=organization, text=text) if text else (),
    )
    return Asked(search=search, text=text, start=start, end=end, problem=problem)


def _known(asked: Asked) -> dict[str, Any]:
    return labels.of({asked.search.actor, asked.search.target} - {""}) | {"portal": "the portal"}


def _text(query: Mapping[str, str], name: str) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:_LONGEST_TEXT]


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(2000, 1, 1) <= found <= date(2200, 1, 1) else None
