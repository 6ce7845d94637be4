"""A member's own credits in one organization, with how full their allocation is in a word."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from billing_portal.dashboards.bands import Band, band
from credits import amounts
from credits.amounts import ZERO
from credits.reports import figures
from credits.reports.figures import MemberFigures
from orgs.models import Organization, User

Payer = Literal["allocation", "pool", "nobody"]


@dataclass(frozen=True)
class OwnPart:
    """Who pays here, and what is left. `own_percentage`, `own_band` and `own_bar_label` speak of an allocation only."""

    own: MemberFigures
    pays: Payer
    own_percentage: Decimal
    own_band: Band
    own_bar_label: str


def part(*, organization: Organization, user: User) -> OwnPart:
    """Return what a member may know of their own credits here. What is held counts as gone."""
    own = figures.member_figures(organization=organization, user=user)
    percentage = amounts.percentage((own.used or ZERO) + (own.held or ZERO), own.allocated or ZERO)
    return OwnPart(
        own=own,
        pays=_payer(organization, own),
        own_percentage=percentage,
        own_band=band(percentage=percentage, remaining=own.remaining or ZERO),
        own_bar_label=f"{percentage}% of your allocation in {organization.name} is used or held",
    )


def _payer(organization: Organization, own: MemberFigures) -> Payer:
    """Return who pays; a pool that would pay but has never had credits still is the payer, with nothing in it."""
    if own.payer == "allocation":
        return "allocation"
    is_shut_out = own.payer == "none" and organization.shared_spending == Organization.SharedSpending.NEVER
    return "nobody" if is_shut_out else "pool"
