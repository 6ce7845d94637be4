"""What the demo's teams set and ask for after four weeks of use: budgets, alerts, standard allocations, requests."""

from decimal import Decimal

from django.utils import timezone

from billing_portal.demo.cast import TEAMS, Ceiling, Team, Wish
from credits.ledger import pools
from credits.limits import budgets
from credits.limits.budgets import Subject
from credits.sharing import requests, standard
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.models import Department, Organization, User


def set_up() -> None:
    """Set what each team sets, once: a team that has its standard allocations or budgets is left as people made it."""
    for team in TEAMS:
        organization = Organization.objects.get(slug=team.slug)
        if team.ceilings and not budgets.live().filter(organization=organization).exists():
            with transactions.durable():
                _set_up(team, organization)


def _set_up(team: Team, organization: Organization) -> None:
    for ceiling in sorted(
        team.ceilings, key=lambda one: not one.is_hard
    ):  # hard ones lock every payer: first
        _limit(organization, ceiling)
    for role, credits in team.standard.items():
        standard.put(
            organization=organization, role=role, credits=Decimal(credits), reset_period="monthly", by=SYSTEM
        )
    if team.alert_below:
        pools.set_alert(organization=organization, below=Decimal(team.alert_below), by=SYSTEM)
    for wish in team.wishes:
        _wish(organization, wish)


def _limit(organization: Organization, ceiling: Ceiling) -> None:
    department = Department.objects.filter(organization=organization, name=ceiling.department).first()
    user = User.objects.filter(email=ceiling.email).first() if ceiling.email else None
    budgets.create(
        organization=organization,
        subject=Subject(department=department, user=user, model=ceiling.model),
        period=ceiling.period,
        credits=Decimal(ceiling.credits),
        is_hard=ceiling.is_hard,
        by=SYSTEM,
    )


def _wish(organization: Organization, wish: Wish) -> None:
    user, now = User.objects.get(email=wish.email), timezone.now()
    made = requests.ask(
        organization=organization,
        user=user,
        credits=Decimal(wish.credits),
        reason=wish.reason,
        by=SYSTEM,
        now=now,
    )
    if wish.outcome == "approve":
        requests.approve(request=made, by=SYSTEM, now=now, answer=wish.answer)
    elif wish.outcome == "decline":
        requests.decline(request=made, by=SYSTEM, now=now, answer=wish.answer)
