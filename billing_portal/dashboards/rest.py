"""GET `/org-billing/billing/system` (contract.md §4.1): what the system page shows, for programs of system admins."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing_portal.dashboards import books_panel, directory, lago_panel, periods, system, totals
from billing_portal.dashboards.books_panel import BooksPanel
from billing_portal.dashboards.directory import Row
from billing_portal.dashboards.lago_panel import LagoPanel
from credits import amounts
from credits.reports import system as reports
from kit.errors import PermissionDenied
from kit.rest import lists
from kit.rest.schema import Pagination, Shape, operation
from lago_sync.reconcile import lag
from lago_sync.reconcile.lag import Lag
from orgs.access import capabilities, permissions
from orgs.access.callers import SESSION
from orgs.models import AccessKey
from orgs.models.plans import NO_PLAN

_TOP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMetrics(Shape):
    organizations: int
    teams: int
    personal: int
    suspended: int
    active_subscriptions: Annotated[int, "live ones, past due ones included"]
    past_due: int
    mrr_cents: Annotated[dict[str, int], "what plans bring a month, by currency; never added up across them"]
    arr_cents: Annotated[dict[str, int], "twelve times that"]
    credits_sold_cents: Annotated[dict[str, int], "purchases ever completed, by currency"]
    credit_liability_cents: Annotated[
        dict[str, int], "what was paid for credits that are not used, by currency"
    ]
    credit_liability_credits: dict[str, str]
    credits_granted: str
    credits_available: str
    credits_held: str
    credits_reserved: str
    credits_allocated: str
    credits_used: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPlan(Shape):
    plan_code: str
    plan_name: str
    organizations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpender(Shape):
    org_id: str
    name: str
    credits: Annotated[str, "in the 7 days of the trend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemDay(Shape):
    date: Annotated[str, "of each organization's own calendar"]
    credits: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSync(Shape):
    """Whether Lago is in step, as jobs last saw it."""

    status: Annotated[str, "healthy, unhealthy, unreachable or unknown"]
    version: str
    latency_ms: int | None
    checked_at: str | None
    events_waiting: int
    events_dead: int
    webhooks_waiting: int
    webhooks_dead: int
    open_purchases: int
    failed_purchases: int
    organizations_compared: int
    organizations_differing: int
    drift_open: int
    circuit_is_open: Annotated[bool, "requests to Lago failed in a row; it is asked seldom until it answers"]
    events_oldest_seconds: Annotated[int | None, "age of the oldest event that waits; null: none"]
    webhooks_oldest_seconds: Annotated[int | None, "age of the oldest webhook that waits; null: none"]
    plan_changes_oldest_seconds: Annotated[
        int | None, "age of the oldest change of plan that waits; null: none"
    ]
    subscriptions_oldest_seconds: Annotated[
        int | None, "since the subscription seen longest ago was seen at Lago"
    ]
    invoices_oldest_seconds: Annotated[int | None, "since the invoices seen longest ago were seen at Lago"]
    lists_age_seconds: Annotated[dict[str, int | None], "since each of Lago's lists was read; null: not yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemVerification(Shape):
    """The last proof of the ledger's laws."""

    verified_at: Annotated[str | None, "null: never"]
    is_stale: Annotated[bool, "more than two hours ago"]
    organizations: int
    laws: int
    violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOrganization(Shape):
    org_id: str
    slug: str
    name: str
    kind: str
    status: str
    plan_code: str
    plan_name: str
    available: str
    used_30_days: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOrganizations(Shape):
    data: list[SystemOrganization]
    pagination: Pagination


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemBillingShape(Shape):
    as_of: str
    metrics: SystemMetrics
    plans: Annotated[list[SystemPlan], "organizations by plan, most first"]
    top_organizations: Annotated[list[SystemSpender], "by use in 7 days"]
    trend: Annotated[list[SystemDay], "7 days up to today"]
    sync: SystemSync
    verification: SystemVerification
    organizations: SystemOrganizations


class SystemBilling(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Show the figures of all organizations (system admins)",
        answers={200: SystemBillingShape},
        errors=(403, 422),
        parameters=lists.PAGE_PARAMETERS,
        curl='curl $URL/api/v1/org-billing/billing/system -H "Authorization: Bearer $KEY"',
        tag="billing",
    )
    def get(self, request: Request) -> Response:
        _require_system_admin(request)
        now = timezone.now()
        today = now.astimezone(UTC).date()
        week = periods.last_days(system.TREND_DAYS, today=today)
        page = lists.page_of(request)
        found, total = directory.part(offset=page.offset, limit=page.limit, today=today)
        spenders = reports.top_spenders(since=week.since, until=week.until, limit=_TOP)
        return Response(
            {
                "as_of": _instant(now),
                "metrics": _metrics(now),
                "plans": [
                    {"plan_code": one.code, "plan_name": one.name, "organizations": one.organizations}
                    for one in totals.plans()
                ],
                "top_organizations": [
                    {
                        "org_id": one.organization.public_id,
                        "name": one.organization.name,
                        "credits": amounts.text(one.credits),
                    }
                    for one in spenders
                ],
                "trend": [
                    {
                        "date": one.day.isoformat(),
                        "credits": amounts.text(one.credits),
                        "requests": one.requests,
                    }
                    for one in reports.trend(since=week.since, until=week.until)
                ],
                "sync": _sync(lago_panel.build(now=now), lag.measure(now=now)),
                "verification": _verification(books_panel.build(now=now)),
                "organizations": lists.answer([_organization(row) for row in found], page=page, total=total),
            }
        )


def _require_system_admin(request: Request) -> None:
    """Raise PermissionDenied for anybody but a system admin in a browser, or their platform key."""
    caller = permissions.caller_of(request)
    if caller.kind == AccessKey.Kind.PLATFORM:
        return
    if caller.kind == SESSION and caller.user is not None and capabilities.is_system_admin(caller.user):
        return
    raise PermissionDenied("This is for system admins.")


def _metrics(now: datetime) -> dict[str, Any]:
    counts, figures = totals.counts(), reports.figures()
    lines = totals.money_lines(since=now - timedelta(days=totals.SALES_DAYS))
    return {
        "organizations": counts.organizations,
        "teams": counts.teams,
        "personal": counts.personal,
        "suspended": counts.suspended,
        "active_subscriptions": counts.subscriptions,
        "past_due": counts.past_due,
        "mrr_cents": {one.currency: one.recurring for one in lines},
        "arr_cents": {one.currency: one.recurring * 12 for one in lines},
        "credits_sold_cents": {one.currency: one.sold_ever for one in lines},
        "credit_liability_cents": {one.currency: one.owed for one in lines},
        "credit_liability_credits": {one.currency: amounts.text(one.owed_credits) for one in lines},
        **{
            f"credits_{name}": amounts.text(getattr(figures, name))
            for name in ("granted", "available", "held", "reserved", "allocated", "used")
        },
    }


def _sync(panel: LagoPanel, lag_now: Lag) -> dict[str, Any]:
    check, plain = panel.check, lag_now.plain()
    return {
        "status": check.status if check is not None else "unknown",
        "version": check.version if check is not None else "",
        "latency_ms": check.latency_ms if check is not None else None,
        "checked_at": _instant(check.checked_at) if check is not None else None,
        "events_waiting": panel.outbox.waiting,
        "events_dead": panel.outbox.dead,
        "webhooks_waiting": panel.inbox.waiting,
        "webhooks_dead": panel.inbox.dead,
        "open_purchases": panel.open_purchases,
        "failed_purchases": panel.failed_purchases,
        "organizations_compared": panel.compared,
        "organizations_differing": panel.differing,
        "drift_open": plain["open_drift"],
        "circuit_is_open": plain["circuit"]["is_open"],
        "events_oldest_seconds": plain["outbox_oldest_seconds"],
        **{
            name: age
            for name, age in plain.items()
            if name.endswith("_seconds") and name != "outbox_oldest_seconds"
        },
    }


def _verification(panel: BooksPanel) -> dict[str, Any]:
    return {
        "verified_at": _instant(panel.verified_at) if panel.verified_at is not None else None,
        "is_stale": panel.is_stale,
        "organizations": panel.organizations,
        "laws": panel.laws,
        "violations": panel.violations,
    }


def _organization(row: Row) -> dict[str, Any]:
    one = row.organization
    return {
        "org_id": one.public_id,
        "slug": one.slug,
        "name": one.name,
        "kind": one.kind,
        "status": one.status,
        "plan_code": row.plan_code or NO_PLAN,
        "plan_name": row.plan,
        "available": amounts.text(row.figures.available),
        "used_30_days": amounts.text(row.figures.used),
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
