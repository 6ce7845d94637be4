"""The subscription of an organization: one, under one id at Lago for life."""

from typing import Any

from django.utils import timezone

from lago_sync.client.transport import Json
from lago_sync.functions import customers
from lago_sync.functions.boundary import actor, organization, require, told
from lago_sync.models import LagoSubscription
from lago_sync.subscriptions import catalogue, changing, mirror, plans
from lago_sync.subscriptions.plans import SubscriptionExists
from orgs.models import Organization
from orgs.subscriptions import NotSubscribed


@told
def create_subscription(
    org_id: str, plan_code: str, billing_time: str = "anniversary", user_id: str | None = None
) -> Json:
    """Start the organization's subscription and return it; the one that is live on this plan is returned as it is.

    `plan_code` is Lago's, or with `_monthly`, `_yearly` or `_annual`. `billing_time` is anniversary (periods count from
    the start) or calendar. For the dict see `get_subscription`. Raises NotDone (409 `subscription_exists` where another
    plan is live: change it; 422 for what is no plan; 409 for a second trial), UnknownOrganization, LagoRefused,
    LagoUnavailable: call it again then, it never starts two.
    """
    found = require(org_id)
    try:
        row = plans.subscribe(
            organization=found,
            plan_code=plan_code,
            billing_time=billing_time,
            by=actor(user_id),
            now=timezone.now(),
        )
    except SubscriptionExists:
        live = mirror.live(organization=found)
        if live is None or live.plan_code != catalogue.lago_code(plan_code):
            raise
        row = live
    return _shown(found, row)


@told
def subscribe_org_to_plan(
    org_id: str, plan_code: str, org_name: str, email: str, user_id: str | None = None
) -> Json:
    """Make what is missing of customer and subscription, and return the subscription; a second call makes nothing more.

    See `create_org_customer` and `create_subscription`.
    """
    customers.get_or_create_customer(org_id, org_name, email, user_id)
    return create_subscription(org_id, plan_code, user_id=user_id)


@told
def get_subscription(org_id: str, fresh: bool = False) -> Json | None:  # noqa: FBT001, FBT002 - the seeds' way
    """Return the organization's live subscription, None without one.

    Lago's fields: `lago_id`, `external_id`, `external_customer_id`, `plan_code`, `plan_name`, `plan_amount_cents` (minor
    units, of one interval), `plan_amount_currency`, `interval`, `status` (active), `billing_time`, `started_at`,
    `current_billing_period_started_at`, `current_billing_period_ending_at`, `next_plan_code`, `downgrade_plan_date`,
    `ending_at`, `terminated_at`; and `as_of`. With `fresh` Lago is asked: raises LagoUnavailable, LagoRefused.
    """
    found = organization(org_id)
    if found is None:
        return None
    if fresh:
        plans.refresh(organization=found, now=timezone.now())
    row = mirror.live(organization=found)
    return _shown(found, row) if row is not None else None


@told
def terminate_subscription(org_id: str, user_id: str | None = None) -> Json | None:
    """End the organization's subscription now and return it as it ended; None where none is live.

    What was paid for the rest of the period is not given back, and bought credits stay. To leave a plan with its period,
    or for another plan, cancel in the portal or use `change_plan`. Raises LagoUnavailable, LagoRefused.
    """
    found = organization(org_id)
    row = plans.end(organization=found, now=timezone.now(), by=actor(user_id)) if found is not None else None
    return _shown(found, row) if found is not None and row is not None else None


@told
def change_plan(org_id: str, plan_code: str, user_id: str | None = None) -> Json:
    """Put the live subscription on another plan and return it; its `external_id` stays, and Lago prorates.

    A plan that costs as much a year or more holds at once; a cheaper one from the period's end, until when it is
    `next_plan_code` beside `downgrade_plan_date`. The plan that it is on changes nothing. Raises NotDone (404 without a
    subscription, 422 for what is no plan, 409 while another change is under way), UnknownOrganization, LagoRefused, and
    LagoUnavailable: the change may be recorded and is then carried on by the portal; calling it again is safe.
    """
    found, now = require(org_id), timezone.now()
    row = mirror.live(organization=found)
    if row is None or row.next_plan_code or row.plan_code != catalogue.lago_code(plan_code):
        catalogue.ask(plan_code, currency=found.currency, now=now)  # the poll may not have come by yet
        changing.change_plan(organization=found, plan_code=plan_code, by=actor(user_id), now=now)
        row = mirror.live(organization=found)
    if row is None:
        raise NotSubscribed("The subscription has ended meanwhile.")
    return _shown(found, row)


def _shown(found: Organization, row: LagoSubscription) -> Json:
    shown: dict[str, Any] = {
        "lago_id": str(row.lago_id),
        "external_id": row.external_id,
        "external_customer_id": found.public_id,
        "plan_code": row.plan_code,
        "plan_name": row.plan_name,
        "plan_amount_cents": row.amount_cents,
        "plan_amount_currency": row.currency,
        "interval": row.interval,
        "status": row.status,
        "billing_time": row.billing_time,
        "started_at": row.started_at,
        "current_billing_period_started_at": row.period_start,
        "current_billing_period_ending_at": row.period_end,
        "next_plan_code": row.next_plan_code or None,
        "downgrade_plan_date": row.downgrade_at,
        "ending_at": row.ending_at,
        "terminated_at": row.ended_at,
        "as_of": row.synced_at,
    }
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in shown.items()
    }
