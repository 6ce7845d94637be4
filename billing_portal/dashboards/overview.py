"""The whole organization's part of `/orgs/<slug>/`: its pool, its allocations, its latest movements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Page, Paginator

from billing_portal.dashboards import charts
from billing_portal.dashboards.movements import Movement, latest
from credits import amounts
from credits.reports import figures
from credits.reports.figures import AllocationFigures, PoolFigures
from orgs.models import Organization

ALLOCATIONS_A_PAGE: Final = 10


@dataclass(frozen=True)
class AllocationRow:
    """One member's allocation, with what its bar says."""

    figures: AllocationFigures
    bar_label: str


@dataclass(frozen=True)
class PoolPart:
    """The four figures of a pool stay apart; the bars only show how they lie to each other."""

    pool: PoolFigures
    granted_bar: charts.ShareBar
    allocated_bar: charts.ShareBar
    page: Page[Any]
    allocations: Sequence[AllocationRow]
    allocations_sub: str
    movements: Sequence[Movement]


def part(*, organization: Organization, page_number: str) -> PoolPart:
    """Return the whole organization's figures, a page of its allocations and its latest movements."""
    pool = figures.organization_figures(organization=organization)
    page = Paginator(figures.allocation_rows(organization=organization), ALLOCATIONS_A_PAGE).get_page(
        page_number
    )
    return PoolPart(
        pool=pool,
        granted_bar=_granted_bar(pool),
        allocated_bar=_allocated_bar(pool),
        page=page,
        allocations=[_row(figures.allocation(row)) for row in page],
        allocations_sub=_allocations_sentence(page.paginator.count, pool),
        movements=latest(organization=organization),
    )


def _row(row: AllocationFigures) -> AllocationRow:
    return AllocationRow(
        figures=row,
        bar_label=f"{row.name}: {row.usage_percentage}% of {amounts.display(row.allocated)} credits used or held",
    )


def _granted_bar(pool: PoolFigures) -> charts.ShareBar:
    parts = {"available": pool.available, "reserved": pool.reserved, "held": pool.held}
    words = ", ".join(f"{amounts.display(value)} {name}" for name, value in parts.items())
    return charts.share_bar(
        list(zip(("sA", "sB", "sC"), parts.values(), strict=True)),
        whole=pool.granted,
        label=f"Of {amounts.display(pool.granted)} granted: {words}",
    )


def _allocated_bar(pool: PoolFigures) -> charts.ShareBar:
    taken = pool.allocated - pool.reserved
    words = f"{amounts.display(taken)} used or held, {amounts.display(pool.reserved)} left"
    return charts.share_bar(
        [("sA", taken), ("sB", pool.reserved)],
        whole=pool.allocated,
        label=f"Of {amounts.display(pool.allocated)} allocated: {words}",
    )


def _allocations_sentence(count: int, pool: PoolFigures) -> str:
    members = "1 member" if count == 1 else f"{count:,} members"
    return f"{members}, {amounts.display(pool.allocated)} credits set apart" if count else ""
