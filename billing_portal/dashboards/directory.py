"""All organizations as a list for system admins: its address is its state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet

from billing_portal.dashboards.switcher import live_subscriptions, plan_name
from credits.reports import system
from credits.reports.system import OrganizationFigures
from orgs.models import Organization

ROWS_A_PAGE: Final = 25
DAYS: Final = 30
KINDS: Final = {"": "All", "team": "Teams", "personal": "Personal"}
_LONGEST_SEARCH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One organization."""

    organization: Organization
    plan: str
    plan_code: str
    subscription_status: str
    figures: OrganizationFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    search: str
    kind: str
    rows: Sequence[Row]
    page: Page[Any]


def build(*, query: Mapping[str, str], today: date) -> Directory:
    """Return a page of the organizations that the query asks for, by name."""
    search = query.get("q", "").replace("\x00", "").strip()[:_LONGEST_SEARCH]
    kind = query.get("kind", "")
    kind = kind if kind in KINDS else ""
    page = Paginator(_matching(search, kind), ROWS_A_PAGE).get_page(query.get("page"))
    shown = list(page)
    figures = system.of_organizations(
        organizations=shown, since=today - timedelta(days=DAYS - 1), until=today
    )
    return Directory(search=search, kind=kind, rows=[_row(one, figures[one.pk]) for one in shown], page=page)


def part(*, offset: int, limit: int, today: date) -> tuple[list[Row], int]:
    """Return so many organizations by name, and how many there are."""
    rows = _matching("", "")
    shown = list(rows[offset : offset + limit])
    figures = system.of_organizations(
        organizations=shown, since=today - timedelta(days=DAYS - 1), until=today
    )
    return [_row(one, figures[one.pk]) for one in shown], rows.count()


def _matching(search: str, kind: str) -> QuerySet[Organization]:
    found = Organization.objects.prefetch_related(live_subscriptions("subscriptions"))
    if kind:
        found = found.filter(kind=kind)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(slug__icontains=search) | Q(public_id=search))
    return found.order_by("name", "pk")


def _row(organization: Organization, figures: OrganizationFigures) -> Row:
    live = next((one for one in organization.subscriptions.all() if one.ended_at is None), None)
    return Row(
        organization=organization,
        plan=plan_name(organization),
        plan_code=live.plan.code if live else "",
        subscription_status=live.get_status_display() if live else "",
        figures=figures,
    )
