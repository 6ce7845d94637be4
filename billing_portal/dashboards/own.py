"""A member's own credits in one organization, with how full their allocation is in a word."""

from dataclasses import dataclass
from decimal import Decimal

from billing_portal.dashboards.bands import Band, band
from credits import amounts
from credits.amounts import ZERO
from credits.reports import figures
from credits.reports.figures import MemberFigures
from orgs.models import Organization, User


@dataclass(frozen=True)
class OwnPart:
    """`percentage`, `band` and `bar_label` speak of the allocation and mean nothing where a pool pays."""

    own: MemberFigures
    own_percentage: Decimal
    own_band: Band
    own_bar_label: str


def part(*, organization: Organization, user: User) -> OwnPart:
    """Return what a member may know of their own credits here. What is held counts as gone."""
    own = figures.member_figures(organization=organization, user=user)
    percentage = amounts.percentage((own.used or ZERO) + (own.held or ZERO), own.allocated or ZERO)
    return OwnPart(
        own=own,
        own_percentage=percentage,
        own_band=band(percentage=percentage, remaining=own.remaining or ZERO),
        own_bar_label=f"{percentage}% of your allocation in {organization.name} is used or held",
    )
