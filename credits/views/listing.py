"""The list of allocations: its address is its state. What a query asks that the page does not offer is the default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import OrderBy
from django.db.models.functions import Coalesce

from credits.amounts import ZERO, CreditsField
from credits.models import Allocation
from credits.reports import figures
from credits.reports.figures import AllocationFigures
from credits.sharing.reach import Reach
from orgs.models import Department, Membership

ROWS_A_PAGE: Final = 25
STATUSES: Final = {"active": "Open", "attention": "Needs attention", "closed": "Closed"}
_LONGEST_SEARCH: Final = 100
_AMOUNT: Final = ExpressionWrapper(F("used") + F("held") + F("remaining"), output_field=CreditsField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that sorts; `css` aligns figures, and on small screens hides some."""

    label: str
    order: F | ExpressionWrapper[Any]
    css: str = ""


COLUMNS: Final = {
    "name": Column(label="Member", order=F("user__name")),
    "used": Column(label="Used", order=F("used"), css="r c-wide"),
    "held": Column(label="Held", order=F("held"), css="r c-wide"),
    "allocated": Column(label="Allocated", order=_AMOUNT, css="r c-wide"),
    "left": Column(label="Left", order=F("remaining"), css="r c-left"),
}
_DEFAULT_SORT: Final = "-used"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the query string asks for."""

    search: str
    department: str
    status: str
    sort: str

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves open allocations out."""
        return bool(self.search or self.department or self.status != "active")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column that sorts: `order` is what `aria-sort` says, `sort` what a click asks for."""

    label: str
    order: str
    sort: str
    css: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One allocation; `department` is the member's, `is_changeable` whether the visitor may change it."""

    figures: AllocationFigures
    department: str
    is_changeable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What all rows that match come to, on whichever page they are."""

    used: Decimal
    held: Decimal
    allocated: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    asked: Asked
    heads: Sequence[Head]
    rows: Sequence[Row]
    sums: Sums
    page: Page[Any]
    departments: Sequence[Department]


def build(*, reach: Reach, query: Mapping[str, str]) -> Listing:
    """Return a page of the allocations within reach that the query asks for."""
    departments = reach.departments()
    asked = _asked(query, departments)
    rows = _matching(reach, asked)
    page = Paginator(_ordered(_described(rows, reach), asked.sort), ROWS_A_PAGE).get_page(query.get("page"))
    return Listing(
        asked=asked,
        heads=[_head(name, asked.sort) for name in COLUMNS],
        rows=[_row(row) for row in page],
        sums=_sums(rows),
        page=page,
        departments=departments,
    )


def _asked(query: Mapping[str, str], departments: Sequence[Department]) -> Asked:
    status, sort = query.get("status", ""), query.get("sort", "")
    known = {department.public_id for department in departments}
    department = query.get("department", "")
    return Asked(
        search=query.get("q", "").replace("\x00", "").strip()[:_LONGEST_SEARCH],
        department=department if department in known else "",
        status=status if status in STATUSES else "active",
        sort=sort if sort.removeprefix("-") in COLUMNS else _DEFAULT_SORT,
    )


def _matching(reach: Reach, asked: Asked) -> QuerySet[Allocation]:
    rows = reach.allocations().filter(closed_at__isnull=asked.status != "closed")
    if asked.search:
        rows = rows.filter(Q(user__name__icontains=asked.search) | Q(user__email__icontains=asked.search))
    if asked.department:
        rows = rows.filter(Exists(_memberships(reach).filter(department__public_id=asked.department)))
    if asked.status == "attention":
        rows = rows.filter(remaining__lte=_AMOUNT / 10)
    return rows


def _memberships(reach: Reach) -> QuerySet[Membership]:
    return Membership.objects.filter(organization=reach.organization, user=OuterRef("user"))


def _described(rows: QuerySet[Allocation], reach: Reach) -> QuerySet[Allocation]:
    return rows.select_related("user", "pool__department").annotate(
        member_department=Subquery(_memberships(reach).values("department__name")[:1]),
        is_changeable=Exists(reach.members().filter(user=OuterRef("user")).order_by()),
    )


def _ordered(rows: QuerySet[Allocation], sort: str) -> QuerySet[Allocation]:
    return rows.order_by(
        OrderBy(COLUMNS[sort.removeprefix("-")].order, descending=sort.startswith("-")), "pk"
    )


def _head(name: str, sort: str) -> Head:
    order = ("descending" if sort.startswith("-") else "ascending") if sort.removeprefix("-") == name else ""
    goes_down = order == "ascending" or (not order and name != "name")  # figures start with the largest
    column = COLUMNS[name]
    return Head(label=column.label, order=order, sort=f"-{name}" if goes_down else name, css=column.css)


def _row(row: Any) -> Row:
    return Row(
        figures=figures.allocation(row),
        department=row.member_department or "",
        is_changeable=row.is_changeable,
    )


def _sums(rows: QuerySet[Allocation]) -> Sums:
    columns = {"used": F("used"), "held": F("held"), "allocated": _AMOUNT, "left": F("remaining")}
    sums = rows.aggregate(
        **{
            f"all_{name}": Coalesce(Sum(what), ZERO, output_field=CreditsField())
            for name, what in columns.items()
        }
    )
    return Sums(**{name: sums[f"all_{name}"] for name in columns})
