"""An organization with a plan at the sandbox, and how a test changes it."""

from datetime import datetime

from lago_sync.models import PlanChange
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import catalogue, changing, plans, prices
from orgs import subscriptions
from orgs.audit.events import Actor
from tests.factories import orgs as make

DAY = 86_400


class Team:
    """One organization at one Lago, whose clock is the sandbox's."""

    def __init__(self, lago, name="Acme"):
        self.lago, self.org = lago, make.team(name)
        self.owner = self.org.memberships.get(role="owner").user
        self.by = Actor(kind="user", public_id=self.owner.public_id)

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.lago.now())

    @property
    def fact(self):
        return subscriptions.live(organization=self.org)

    @property
    def row(self):
        return plans.live(organization=self.org)

    @property
    def at_lago(self):
        """Return what is live or planned at Lago, without the portal's own look."""
        query = {"status[]": ["active", "pending"]}
        path = f"customers/{self.org.public_id}/subscriptions"
        found = self.lago.api("GET", path, params=query).json()["subscriptions"]
        return {one["status"]: one for one in found}

    def subscribe(self, plan_code="starter", **more):
        row = plans.subscribe(organization=self.org, plan_code=plan_code, by=self.by, now=self.now, **more)
        self.lago.drain()
        return row

    def change(self, plan_code, **more):
        made = changing.change_plan(
            organization=self.org, plan_code=plan_code, by=self.by, now=self.now, **more
        )
        self.lago.drain()
        return made

    def cancel(self):
        return changing.cancel(organization=self.org, by=self.by, now=self.now)

    def take_back(self):
        return changing.take_back(organization=self.org, by=self.by, now=self.now)

    def preview(self, plan_code):
        return prices.preview(organization=self.org, plan_code=plan_code, now=self.now)

    def refresh(self):
        return plans.refresh(organization=self.org, now=self.now)

    def move_to(self, moment):
        self.lago.set_clock(moment)
        self.lago.drain()

    def advance(self, days):
        self.lago.advance(days * DAY)
        self.lago.drain()
        return self.refresh()

    def changes(self):
        return [
            (one.kind, one.status) for one in PlanChange.objects.filter(organization=self.org).order_by("id")
        ]

    def invoices(self):
        """Return the invoices of plans at Lago with their fees, oldest first."""
        listed = self.lago.api("GET", f"customers/{self.org.public_id}/invoices").json()["invoices"]
        ids = [one["lago_id"] for one in listed if one["invoice_type"] == "subscription"]
        found = [self.lago.api("GET", f"invoices/{one}").json()["invoice"] for one in ids]
        return sorted(found, key=lambda one: one["sequential_id"])

    def credit_notes(self):
        return self.lago.api("GET", f"customers/{self.org.public_id}/credit_notes").json()["credit_notes"]


def installed(lago, at=None):
    """Set the sandbox up as setup_lago does, at a moment of its own."""
    if at:
        lago.set_clock(at)
    now = datetime.fromisoformat(lago.now())
    installing.install(webhook_url=guard.webhook_url(), now=now)
    catalogue.refresh(now=now)
    return lago
