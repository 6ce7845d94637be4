"""A small world for tests of pages, made with the verbs that the portal itself uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client
from django.utils import timezone

from credits.ledger import charging, grants
from credits.ledger.commands import CaptureHold, MakeCharge, PlaceHold, Reach, Settled, Spender
from credits.models import Grant
from credits.pricing.costs import CreditsCost
from credits.sharing import allocations
from kit import transactions
from orgs import memberships, organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Department, DepartmentManager, Membership, Organization, User

PASSWORD = "correct-horse-2026"
LONG_AGO = 200
"""Days: when credits came and were shared out, so that use of any day lies after it."""
_numbers = count(1)


def person(name: str, **fields: object) -> User:
    user = User.objects.create_user(
        f"{name.lower().replace(' ', '.')}@example.com", PASSWORD, name=name, **fields
    )
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


@contextmanager
def days_ago(days: int) -> Iterator[None]:
    """Move the ledger's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.clock_offset', %s, false)", [f"-{days} days"])
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('portal.clock_offset', '', false)")


@dataclass
class Team:
    """An organization with its owner."""

    owner: User
    organization: Organization
    people: dict[str, User] = field(default_factory=dict)

    @classmethod
    def made(cls, name: str = "Acme", owner: User | None = None) -> "Team":
        owner = owner or person(f"Owner of {name}")
        with transactions.durable():
            organization = organizations.create(name=name, owner=owner, by=SYSTEM)
        return cls(owner=owner, organization=organization)

    def joined_by(self, user: User, role: str = Membership.Role.MEMBER, department: str = "") -> User:
        with transactions.durable():
            where = (
                Department.objects.get_or_create(organization=self.organization, name=department)[0]
                if department
                else None
            )
            memberships.add(
                organization=self.organization,
                user=user,
                by=SYSTEM,
                acting_as="owner",
                role=role,
                department=where,
            )
        return user

    def on_plan(self, code: str) -> "Team":
        now = timezone.now()
        with transactions.durable():
            subscriptions.set_plan(
                organization=self.organization,
                plan_code=code,
                period_start=now,
                period_end=now + timedelta(days=30),
                by=SYSTEM,
            )
        return self

    def granted(self, credits: str) -> "Team":
        with days_ago(LONG_AGO), transactions.durable():
            grants.grant(
                organization=self.organization,
                source=Grant.Source.GOODWILL,
                credits=Decimal(credits),
                reference=f"test-{next(_numbers)}",
                by=SYSTEM,
                reason="Welcome",
            )
        return self

    def allocated(self, user: User, credits: str) -> "Team":
        with days_ago(LONG_AGO), transactions.durable():
            share = allocations.Share(user=user, credits=Decimal(credits))
            allocations.assign(organization=self.organization, share=share, by=SYSTEM)
        return self

    def spent(
        self, user: User, credits: str, *, model: str = "gpt-5", days: int = 0, service: str = "llm"
    ) -> "Team":
        with days_ago(days):
            outcome = charging.settle_one(
                MakeCharge(
                    organization_id=self.organization.pk,
                    spender=Spender(made_by=user.public_id, user_id=user.pk),
                    transaction_id=f"test-{next(_numbers)}",
                    cost=CreditsCost(Decimal(credits), model=model, input_tokens=100, output_tokens=20),
                    service=service,
                )
            )
        assert isinstance(outcome, Settled), outcome
        return self

    def held(self, user: User, credits: str) -> UUID:
        outcome = charging.settle_one(
            PlaceHold(
                organization_id=self.organization.pk,
                spender=Spender(made_by=user.public_id, user_id=user.pk),
                transaction_id=f"test-{next(_numbers)}",
                cost=CreditsCost(Decimal(credits), model="gpt-5"),
                service="llm",
                ttl_seconds=600,
            )
        )
        assert isinstance(outcome, Settled), outcome
        assert outcome.hold is not None
        return outcome.hold.pk

    def overran(self, user: User, *, held: str, cost: str) -> "Team":
        """Hold one amount and capture a larger one."""
        outcome = charging.settle_one(
            CaptureHold(
                hold_id=self.held(user, held),
                spender=Spender(made_by=user.public_id, user_id=user.pk),
                reach=Reach.OWN,
                cost=CreditsCost(Decimal(cost), model="gpt-5"),
            )
        )
        assert isinstance(outcome, Settled), outcome
        return self

    def managed_by(self, user: User) -> "Team":
        """Make a member the manager of their department."""
        membership = Membership.objects.get(organization=self.organization, user=user)
        assert membership.department is not None
        DepartmentManager.objects.create(department=membership.department, membership=membership)
        return self


def acme_with_people() -> Team:
    """10,000 credits granted, 1,000 of them Mia's; 250.75 spent, 20 held."""
    team = Team.made("Acme").granted("10000")
    mia = team.joined_by(person("Mia Member"), department="Engineering")
    paul = team.joined_by(person("Paul Pool"))
    team.people |= {"mia": mia, "paul": paul}
    team.allocated(mia, "1000").spent(mia, "200.5", model="gpt-5").spent(mia, "0.25", model="llama", days=3)
    team.spent(paul, "50", model="llama", service="search")
    team.held(mia, "20")
    return team


def sign_in(user: User) -> Client:
    """Return a browser in which the person is signed in."""
    client = Client()
    client.force_login(user)
    return client
