"""Filling both sides' tables: organizations with members, every member with an allocation."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.core.management import call_command
from django.utils import timezone

from bench import textbook
from bench.spots import MEMBERS, Spot, World
from credits.ledger import grants
from credits.models import Grant
from credits.sharing import allocations
from kit import transactions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Membership, Organization, Plan, Subscription, User

_SHARE: Final = Decimal(1_000_000)
_ENDLESS: Final = 2_000_000_000
"""Calls a day: a quota that is counted and never reached."""


def make(*, organizations: int = 100) -> World:
    """Migrate, fill both sides' tables, and issue the key that HTTP clients send."""
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0, run_syncdb=True)
    plan = Plan.objects.create(code="counted", name="Counted", daily_calls=_ENDLESS, monthly_calls=_ENDLESS)
    terms = keys.Terms(name="bench", scopes=[AccessKey.Scope.USAGE_WRITE])
    with transactions.durable():
        issued = keys.issue_platform(terms=terms, by=SYSTEM)
    return World(
        unlimited=tuple(_ours("Unlimited", Plan.objects.get(code="enterprise"), organizations)),
        counted=tuple(_ours("Counted", plan, organizations)),
        textbook=tuple(_textbooks(organizations)),
        organizations=organizations,
        key=issued.text,
        key_id=issued.key.pk,
        made_by=issued.key.public_id,
    )


def _ours(name: str, plan: Plan, organizations: int) -> Iterator[Spot]:
    now = timezone.now()
    for number in range(organizations):
        organization = Organization.objects.create(
            name=f"{name} {number}", slug=f"{name}-{number}".casefold()
        )
        Subscription.objects.create(
            organization=organization,
            plan=plan,
            started_at=now,
            current_period_start=now,
            current_period_end=now + timedelta(days=30),
        )
        for user in _allocate(organization):
            yield Spot(organization.pk, user.pk, organization.public_id, user.public_id)


def _allocate(organization: Organization) -> list[User]:
    """Give the organization its members, and each of them a share of what it is granted."""
    users = User.objects.bulk_create(
        User(email=f"{organization.slug}-{member}@bench.example", name=f"Member {member}", password="!")
        for member in range(MEMBERS)
    )
    Membership.objects.bulk_create(Membership(organization=organization, user=user) for user in users)
    with transactions.durable():
        grants.grant(
            organization=organization,
            source=Grant.Source.PROMOTION,
            credits=_SHARE * MEMBERS,
            reference="bench",
            by=SYSTEM,
        )
    shares = [allocations.Share(user=user, credits=_SHARE) for user in users]
    with transactions.durable():
        allocations.assign_all(organization=organization, shares=shares, by=SYSTEM)
    return users


def _textbooks(organizations: int) -> Iterator[tuple[int, int]]:
    """Fill the opponent's tables; members are numbered from 1, as least.sql draws them."""
    with transactions.durable():
        for number in range(organizations):
            organization = textbook.Organization(name=f"Textbook {number}")
            organization.save()
            for member in range(1, MEMBERS + 1):
                textbook.Allocation(organization=organization, member=member, remaining=_SHARE).save()
                yield organization.pk, member
