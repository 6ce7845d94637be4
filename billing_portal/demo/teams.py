"""Building the demo's people and teams through the same verbs as everybody; what is there already stays."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from billing_portal.demo.cast import PASSWORD, PEOPLE, TEAMS, Member, Person, Team
from credits.ledger import grants
from credits.reports import figures
from credits.sharing import allocations, transfers
from credits.sharing.allocations import Share
from kit import transactions
from orgs import departments, memberships, organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Department, Membership, Organization, User

SOLO_CREDITS = Decimal(500)


def build() -> list[Organization]:
    """Make people, teams and the person alone; returns the organizations."""
    people = {person.email: _person(person) for person in PEOPLE}
    teams = [_team(team, people) for team in TEAMS]
    with transactions.durable():
        solo = organizations.personal_for(user=people["solo@example.com"])
        grants.grant(
            organization=solo,
            source="promotion",
            credits=SOLO_CREDITS,
            reference="demo",
            by=SYSTEM,
            reason="Demo credits",
        )
    return [*teams, solo]


def _person(person: Person) -> User:
    found = User.objects.filter(email=person.email).first()
    if found is not None:
        return found
    password = PASSWORD if person.sees else None
    return User.objects.create_user(
        person.email, password, name=person.name, is_staff=person.is_staff, is_superuser=person.is_staff
    )


def _team(team: Team, people: dict[str, User]) -> Organization:
    found = Organization.objects.filter(slug=team.slug).first()
    if found is not None:
        return found
    with transactions.durable():
        organization = organizations.create(
            name=team.name, owner=people[team.owner], by=SYSTEM, time_zone=team.time_zone
        )
        now = timezone.now()
        subscriptions.set_plan(
            organization=organization,
            plan_code=team.plan,
            period_start=now - timedelta(days=12),
            period_end=now + timedelta(days=18),
            by=SYSTEM,
        )
        grants.grant(
            organization=organization,
            source="promotion",
            credits=Decimal(team.credits),
            reference="demo",
            by=SYSTEM,
            reason="Demo credits",
        )
        parts = _departments(team, organization)
        for member in team.members:
            _member(organization, people[member.email], member, parts)
        _share_out(team, organization, people)
    return organization


def _departments(team: Team, organization: Organization) -> dict[str, Department]:
    parts = {}
    for name, credits in team.departments.items():
        parts[name] = departments.create(organization=organization, name=name, by=SYSTEM)
        if Decimal(credits):
            transfers.move(department=parts[name], credits=Decimal(credits), by=SYSTEM)
    return parts


def _member(organization: Organization, user: User, member: Member, parts: dict[str, Department]) -> None:
    department = parts.get(member.department)
    found = Membership.objects.filter(organization=organization, user=user).first()
    if found is None:
        found = memberships.add(
            organization=organization,
            user=user,
            by=SYSTEM,
            acting_as="owner",
            role=member.role,
            department=department,
        )
    if member.manages:
        departments.add_manager(department=parts[member.manages], membership=found, by=SYSTEM)


def _share_out(team: Team, organization: Organization, people: dict[str, User]) -> None:
    shares = [
        Share(user=people[member.email], credits=Decimal(member.credits))
        for member in team.members
        if member.credits
    ]
    given = figures.count_allocations(organization=organization)
    if shares and not given:
        allocations.assign_all(organization=organization, shares=shares, by=SYSTEM)
