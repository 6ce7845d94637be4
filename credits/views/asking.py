"""What the address of the usage page asks for. What it does not offer is the default; days that cannot be are said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from credits.reports.usage import Filters
from credits.views.sight import Sight
from orgs.models import Department, User

DAYS: Final = (7, 30, 90)
LONGEST_DAYS: Final = 731
GROUPINGS: Final = {
    "model": "Model",
    "user": "Member",
    "department": "Department",
    "service": "Service",
    "provider": "Provider",
    "day": "Day",
    "week": "Week",
    "month": "Month",
}
_OF_MANY: Final = ("user", "department")
_DEFAULT_DAYS: Final = 30
_LONGEST_TEXT: Final = 128
_MOST_FOUND: Final = 500
"""Members that a search narrows to; a search that finds more is no search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`days` is 0 for dates of one's own; `problem` says why there is nothing to show; texts are as they were typed."""

    since: date
    until: date
    days: int
    group_by: str
    search: str = ""
    member: User | None = None
    department: Department | None = None
    service: str = ""
    provider: str = ""
    model: str = ""
    problem: str = ""
    start_text: str = ""
    end_text: str = ""

    @property
    def length(self) -> int:
        """How many days it has."""
        return (self.until - self.since).days + 1

    @property
    def is_narrow(self) -> bool:
        """Whether anything but the days is chosen."""
        return any((self.search, self.member, self.department, self.service, self.provider, self.model))


def read(query: Mapping[str, str], *, sight: Sight, today: date) -> Asked:
    """Return what is asked for, within what the visitor may see."""
    groupings = offered(sight)
    by = _text(query, "by")
    asked = Asked(
        since=today - timedelta(days=_DEFAULT_DAYS - 1),
        until=today,
        days=_DEFAULT_DAYS,
        group_by=by if by in groupings else "model",
        search="" if sight.is_own else _text(query, "q").strip(),
        member=_member(_text(query, "member"), sight),
        department=_department(_text(query, "department"), sight),
        **{name: _text(query, name) for name in ("service", "provider", "model")},
    )
    return _dated(asked, query, today)


def offered(sight: Sight) -> dict[str, str]:
    """Return what to group by: one's own use has one member."""
    return {key: label for key, label in GROUPINGS.items() if not (sight.is_own and key in _OF_MANY)}


def filters(asked: Asked, *, sight: Sight) -> Filters:
    """Return what to count: what may be seen, narrowed to what is asked for."""
    found = replace(sight.filters(), service=asked.service, provider=asked.provider, model=asked.model)
    if asked.member is not None and not sight.is_own:
        found = replace(found, users=(asked.member.pk,))
    elif asked.search:
        found = replace(found, users=_found(asked.search, sight))
    if asked.department is not None:
        found = replace(found, departments=(asked.department.pk,), own=None)
    return found


def _dated(asked: Asked, query: Mapping[str, str], today: date) -> Asked:
    """Return it with the days asked for: so many up to today, or from one date to another."""
    start, end = _text(query, "start").strip(), _text(query, "end").strip()
    if not start and not end:
        days = _text(query, "days")
        chosen = int(days) if days in {str(one) for one in DAYS} else _DEFAULT_DAYS
        return replace(asked, days=chosen, since=today - timedelta(days=chosen - 1))
    asked = replace(asked, days=0, start_text=start, end_text=end)
    since, until = _date(start, asked.since), _date(end, today)
    if since is None or until is None:
        return replace(asked, problem="A date is missing or cannot be read. Write it as 2027-01-31.")
    if since > until:
        return replace(asked, problem="The first day lies after the last one.")
    if (until - since).days >= LONGEST_DAYS:
        return replace(asked, problem=f"That is too long: at most {LONGEST_DAYS} days are shown at once.")
    return replace(asked, since=since, until=until)


def _date(text: str, default: date) -> date | None:
    if not text:
        return default
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(2000, 1, 1) <= found <= date(2200, 1, 1) else None


def _text(query: Mapping[str, str], name: str) -> str:
    return query.get(name, "").replace("\x00", "")[:_LONGEST_TEXT]


def _member(public_id: str, sight: Sight) -> User | None:
    """Return the person of this organization; whether their use is in sight the filters say."""
    if not public_id or sight.is_own:
        return None
    return (
        User.objects.filter(public_id=public_id, memberships__organization=sight.organization)
        .distinct()
        .first()
    )


def _department(public_id: str, sight: Sight) -> Department | None:
    if not public_id or sight.is_own:
        return None
    found = Department.objects.filter(public_id=public_id, organization=sight.organization).first()
    return found if sight.managed is None or found in sight.managed else None


def _found(search: str, sight: Sight) -> tuple[UUID, ...]:
    """Return the members, past ones too, whose name or e-mail address has the text."""
    named = Q(name__icontains=search) | Q(email__icontains=search)
    people = User.objects.filter(named, memberships__organization=sight.organization).distinct()
    return tuple(people.values_list("pk", flat=True)[:_MOST_FOUND])
