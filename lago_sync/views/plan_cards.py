"""What the pages of the plan show: the present one, what is planned, what can be chosen, and what a change gains and loses."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lago_sync.customers import methods
from lago_sync.invoices import listing, payments
from lago_sync.invoices import mirror as invoices
from lago_sync.models import LagoInvoice, LagoSubscription, PlanChange
from lago_sync.subscriptions import catalogue, changes, mirror, periods, plans
from lago_sync.subscriptions.catalogue import Offer
from orgs import subscriptions
from orgs.models import Membership, Organization, Plan, Subscription

INTERVALS: Final = {
    "weekly": "a week",
    "monthly": "a month",
    "quarterly": "a quarter",
    "semiannual": "half a year",
    "yearly": "a year",
}
TONES: Final = {
    "trialing": "accent",
    "active": "ok",
    "past_due": "bad",
    "paused": "warn",
    "canceled": "warn",
}
UNLIMITED: Final = "unlimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The live subscription: as the portal counts it, and as Lago was last seen to have it (None: not billed there)."""

    fact: Subscription
    row: LagoSubscription | None

    @property
    def tone(self) -> str:
        """The tone of its state's badge."""
        return TONES.get(self.fact.status, "")

    @property
    def every(self) -> str:
        """How often its price is paid."""
        return INTERVALS.get(self.row.interval, "") if self.row else ""

    @property
    def is_canceled(self) -> bool:
        """Whether somebody planned its end."""
        return self.row is not None and mirror.is_canceled(self.row)

    @property
    def is_trial(self) -> bool:
        """Whether it ends by itself after a week."""
        return self.fact.plan.code == mirror.TRIAL

    @property
    def renews(self) -> bool:
        """Whether another period follows this one as it is."""
        return not self.is_trial and not self.is_canceled

    @property
    def next_name(self) -> str:
        """The plan that was chosen for the next period, "" where none was."""
        return catalogue.name(self.row.next_plan_code) if self.row and self.row.next_plan_code else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One plan of the table; `direction` is present, planned, up, down or new."""

    offer: Offer
    direction: str

    @property
    def every(self) -> str:
        """How often its price is paid."""
        return INTERVALS[self.offer.at_lago.interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One line of what another plan brings: `tone` is ok for more, warn for less, nothing for the same."""

    name: str
    now: str
    then: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of the plan shows."""

    present: Present | None
    choices: list[Choice]
    pending: PlanChange | None
    owed: list[LagoInvoice]
    has_card: bool
    as_of: datetime | None
    is_away: bool


def page(*, organization: Organization) -> Page:
    """Return what is known of an organization's plan; asks nobody."""
    present = present_of(organization=organization)
    row = present.row if present else None
    as_of = row.synced_at if row else None
    return Page(
        present=present,
        choices=choices(organization=organization, row=row),
        pending=changes.pending(organization=organization),
        owed=list(invoices.unpaid_of_plans(organization=organization)),
        has_card=payments.has_provider() and methods.has_default(organization=organization),
        as_of=as_of,
        is_away=listing.is_lago_away(),
    )


def present_of(*, organization: Organization) -> Present | None:
    """Return the live subscription, None without one."""
    fact = subscriptions.live(organization=organization)
    return Present(fact=fact, row=mirror.live(organization=organization)) if fact else None


def choices(*, organization: Organization, row: LagoSubscription | None) -> list[Choice]:
    """Return the plans that can be chosen, in their order; a trial only where one may be started."""
    may_try = plans.may_try(organization=organization)
    found = catalogue.offered(currency=organization.currency)
    return [
        Choice(offer=one, direction=_direction(one, row))
        for one in found
        if one.plan.code != mirror.TRIAL or may_try or (row and row.plan_code == one.at_lago.code)
    ]


def differences(*, organization: Organization, offer: Offer) -> list[Difference]:
    """Return line by line what another plan gains and loses; a personal organization has one member, whatever the seats."""
    now, then = subscriptions.plan_of(organization=organization), offer.plan
    is_once = mirror.TRIAL in {now.code, then.code}
    found = [
        _line(
            "Included credits" if is_once else "Included credits a month",
            now.included_credits,
            then.included_credits,
        ),
        _line("Calls a day", now.daily_calls, then.daily_calls),
        _line("Calls a month", now.monthly_calls, then.monthly_calls),
    ]
    if organization.kind != Organization.Kind.PERSONAL:
        found.append(_line("Seats", now.seats, then.seats))
    return [*found, _markup(now, then)]


def too_many_members(*, organization: Organization, offer: Offer) -> int:
    """Return how many members there are where the plan has fewer seats, else 0: they stay, and nobody can be added."""
    members = Membership.objects.live().filter(organization=organization).count()
    seats = offer.plan.seats
    return members if seats is not None and members > seats else 0


def _direction(offer: Offer, row: LagoSubscription | None) -> str:
    if row is None:
        return "new"
    if offer.at_lago.code == row.plan_code:
        return "present"
    if offer.at_lago.code == row.next_plan_code:
        return "planned"
    return "up" if offer.yearly_cents >= row.amount_cents * periods.A_YEAR[row.interval] else "down"


def _line(name: str, now: int | None, then: int | None) -> Difference:
    tone = ""
    if now != then:
        tone = "ok" if then is None or (now is not None and then > now) else "warn"
    return Difference(name=name, now=_said(now), then=_said(then), tone=tone)


def _markup(now: Plan, then: Plan) -> Difference:
    tone = "" if now.markup_percent == then.markup_percent else "warn"
    if then.markup_percent < now.markup_percent:
        tone = "ok"
    return Difference(
        name="Markup on model prices",
        now=f"{now.markup_percent.normalize():f} %",
        then=f"{then.markup_percent.normalize():f} %",
        tone=tone,
    )


def _said(limit: int | None) -> str:
    return UNLIMITED if limit is None else f"{limit:,}"
