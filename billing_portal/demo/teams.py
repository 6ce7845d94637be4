"""Building the demo's people and teams through the same verbs as everybody; what is there already stays."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from billing_portal.demo.cast import PASSWORD, PEOPLE, SOLO, TEAMS, Person, Team
from billing_portal.demo.history import DAYS
from credits.sharing import allocations, transfers
from credits.sharing.allocations import Share
from kit import transactions
from orgs import departments, memberships, organizations
from orgs.audit.events import SYSTEM
from orgs.models import Department, Organization, User


def found() -> dict[str, Organization]:
    """Make people, teams of their owners and the person alone; returns the organizations by their slug, or e-mail."""
    people = {person.email: _person(person) for person in PEOPLE}
    made = {team.slug: _team(team, people[team.owner]) for team in TEAMS}
    with transactions.durable():
        made[SOLO] = organizations.personal_for(user=people[SOLO])
    return made


def fill() -> None:
    """Let the members join and give departments and members their shares: their plan has seats, credits are bought."""
    for team in TEAMS:
        organization = Organization.objects.get(slug=team.slug)
        if organization.memberships.count() == 1:  # only its owner
            with transactions.durable():
                _join(team, organization)
                _fund(team, organization)
                _allocate(team, organization)


def _person(person: Person) -> User:
    found = User.objects.filter(email=person.email).first()
    if found is not None:
        return found
    password = PASSWORD if person.sees else None
    return User.objects.create_user(
        person.email, password, name=person.name, is_staff=person.is_staff, is_superuser=person.is_staff
    )


def _team(team: Team, owner: User) -> Organization:
    found = Organization.objects.filter(slug=team.slug).first()
    if found is not None:
        return found
    with transactions.durable():
        return organizations.create(name=team.name, owner=owner, by=SYSTEM, time_zone=team.time_zone)


def _join(team: Team, organization: Organization) -> None:
    users = {user.email: user for user in User.objects.filter(email__in=[one.email for one in team.members])}
    parts = {
        name: departments.create(organization=organization, name=name, by=SYSTEM) for name in team.departments
    }
    for member in team.members:
        if member.email != team.owner:
            joined = memberships.add(
                organization=organization,
                user=users[member.email],
                by=SYSTEM,
                acting_as="owner",
                role=member.role,
                department=parts.get(member.department),
            )
            if member.manages:
                departments.add_manager(department=parts[member.manages], membership=joined, by=SYSTEM)
    # They have used credits for four weeks, so they have been there as long: a pace is counted from the day one joined.
    organization.memberships.update(joined_at=timezone.now() - timedelta(days=DAYS))


def _fund(team: Team, organization: Organization) -> None:
    for name, credits in team.departments.items():
        department = Department.objects.get(organization=organization, name=name)
        if Decimal(credits):
            transfers.move(department=department, credits=Decimal(credits), by=SYSTEM)


def _allocate(team: Team, organization: Organization) -> None:
    users = {user.email: user for user in User.objects.filter(memberships__organization=organization)}
    now = timezone.now()
    shares = [
        Share(
            user=users[member.email],
            credits=Decimal(member.credits),
            reset_period=member.resets,
            expires_at=now + timedelta(days=member.ends_in_days) if member.ends_in_days else None,
        )
        for member in team.members
        if member.credits
    ]
    if shares:
        allocations.assign_all(organization=organization, shares=shares, by=SYSTEM)
