"""How the demo's teams pay: a stored card, buying by itself, a change of plan that is planned, and their invoices."""

from decimal import Decimal

from django.utils import timezone

from billing_portal.demo import payments
from billing_portal.demo.cast import TEAMS, Team
from kit import transactions
from lago_sync.customers import methods
from lago_sync.invoices import mirror
from lago_sync.models import PlanChange
from lago_sync.purchases import auto_top_ups
from lago_sync.subscriptions import changing, plans
from orgs.audit.events import SYSTEM
from orgs.models import Organization


def arrange(made: dict[str, Organization]) -> None:
    """Arrange what each team has not arranged yet, and see what Lago has invoiced; people's own settings are left."""
    for team in TEAMS:
        organization = made[team.slug]
        if team.has_card:
            _store_card(organization)
        if team.top_up is not None and auto_top_ups.of_organization(organization=organization) is None:
            _top_up(team, organization)
        if team.next_plan and not PlanChange.objects.filter(organization=organization).exists():
            _plan(team, organization)
        mirror.refresh(organization=organization, now=timezone.now())


def _store_card(organization: Organization) -> None:
    methods.refresh(organization=organization, now=timezone.now())
    if not methods.of_organization(organization=organization).exists():
        payments.store_card(page=methods.page_to_store(organization=organization, now=timezone.now()))
        payments.wait()
        methods.refresh(organization=organization, now=timezone.now())


def _top_up(team: Team, organization: Organization) -> None:
    wanted = team.top_up
    if wanted is None:
        return
    terms = auto_top_ups.Terms(
        is_on=True,
        threshold=Decimal(wanted.below),
        package_code=wanted.package,
        credits=None,
        day_cap_cents=wanted.day_cap_cents,
        month_cap_cents=wanted.month_cap_cents,
    )
    with transactions.durable():
        auto_top_ups.configure(organization=organization, terms=terms, by=SYSTEM, now=timezone.now())


def _plan(team: Team, organization: Organization) -> None:
    now = timezone.now()
    plans.refresh(organization=organization, now=now)
    changing.change_plan(organization=organization, plan_code=team.next_plan, by=SYSTEM, now=now)
