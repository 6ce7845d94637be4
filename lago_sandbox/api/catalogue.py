"""Billable metrics, plans and their charges."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock, jobs, money
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing.periods import INTERVALS
from lago_sandbox.errors import NotFound
from lago_sandbox.models import BillableMetric, Charge, Plan
from lago_sandbox.shapes import catalogue as shape
from lago_sandbox.webhooks.emit import emit

AGGREGATIONS = (
    "count_agg", "sum_agg", "max_agg", "unique_count_agg", "weighted_sum_agg", "latest_agg", "custom_agg",
)  # fmt: skip
MODELS = (
    "standard",
    "graduated",
    "package",
    "percentage",
    "volume",
    "graduated_percentage",
    "custom",
    "dynamic",
)
METRIC_DETAILS = (
    "description", "recurring", "rounding_function", "rounding_precision", "expression", "weighted_interval", "filters",
)  # fmt: skip
PLAN_DETAILS = ("description", "invoice_display_name", "bill_charges_monthly", "metadata")


def create_metric(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "billable_metric"), clock.now()
    problems = Problems()
    problems.require(given, "name", "code")
    problems.one_of(given, "aggregation_type", AGGREGATIONS)
    if given.get("aggregation_type") not in (None, "count_agg", "custom_agg") and not given.get("field_name"):
        problems.add("field_name", "value_is_mandatory")
    if BillableMetric.objects.filter(code=given.get("code"), deleted_at=None).exists():
        problems.add("code", "value_already_exist")
    problems.stop()
    row = BillableMetric.objects.create(
        created_at=now,
        name=given["name"],
        code=given["code"],
        aggregation_type=given["aggregation_type"],
        field_name=given.get("field_name") or "",
        details={name: given[name] for name in METRIC_DETAILS if name in given},
    )
    return {"billable_metric": shape.metric(row)}


def index_metrics(request: HttpRequest) -> dict[str, Any]:
    rows = BillableMetric.objects.filter(deleted_at=None).order_by("-created_at", "id")
    return page(request, rows, name="billable_metrics", shape=shape.metric)


def show_metric(_request: HttpRequest, code: str) -> dict[str, Any]:
    return {"billable_metric": shape.metric(_metric(code))}


def update_metric(request: HttpRequest, code: str) -> dict[str, Any]:
    """Change name and details; what is counted is fixed once a plan uses it."""
    row, given = _metric(code), root(request, "billable_metric")
    row.name = given.get("name") or row.name
    row.details |= {name: given[name] for name in METRIC_DETAILS if name in given}
    if not row.charges.filter(deleted_at=None).exists():
        row.aggregation_type = given.get("aggregation_type") or row.aggregation_type
        row.field_name = given.get("field_name") or row.field_name
    row.save()
    return {"billable_metric": shape.metric(row)}


def delete_metric(_request: HttpRequest, code: str) -> dict[str, Any]:
    row = _metric(code)
    row.deleted_at = clock.now()
    row.save()
    return {"billable_metric": shape.metric(row)}


def create_plan(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "plan"), clock.now()
    _check_plan(given)
    row = Plan.objects.create(
        created_at=now,
        name=given["name"],
        code=given["code"],
        interval=given["interval"],
        amount_cents=given["amount_cents"],
        amount_currency=given["amount_currency"],
        pay_in_advance=bool(given.get("pay_in_advance")),
        trial_period=float(given.get("trial_period") or 0),
        details={name: given[name] for name in PLAN_DETAILS if name in given},
    )
    _set_charges(row, given.get("charges") or [], now)
    emit("plan.created", about=row, now=now, extra=shape.plan(row))
    return {"plan": shape.plan(row)}


def index_plans(request: HttpRequest) -> dict[str, Any]:
    rows = Plan.objects.filter(deleted_at=None).order_by("-created_at", "id")
    return page(request, rows, name="plans", shape=shape.plan)


def show_plan(_request: HttpRequest, code: str) -> dict[str, Any]:
    return {"plan": shape.plan(plan(code))}


def update_plan(request: HttpRequest, code: str) -> dict[str, Any]:
    """Change a plan; `charges` replaces by id: one without an id is new, one that is absent is deleted."""
    row, given, now = plan(code), root(request, "plan"), clock.now()
    row.name = given.get("name") or row.name
    if isinstance(given.get("amount_cents"), int):
        row.amount_cents = given["amount_cents"]
    row.details |= {name: given[name] for name in PLAN_DETAILS if name in given}
    row.save()
    if isinstance(given.get("charges"), list):
        _set_charges(row, given["charges"], now)
    emit("plan.updated", about=row, now=now, extra=shape.plan(row))
    return {"plan": shape.plan(row)}


def delete_plan(_request: HttpRequest, code: str) -> dict[str, Any]:
    """Have a plan deleted a moment later, with its subscriptions; until then it is listed as pending deletion."""
    row, now = plan(code), clock.now()
    row.pending_deletion = True
    row.save(update_fields=["pending_deletion"])
    jobs.soon("remove_plan", now=now, plan=row.id)
    return {"plan": shape.plan(row)}


def plan(code: str) -> Plan:
    """Return a kept plan or answer 404."""
    found = Plan.objects.filter(code=code, deleted_at=None).first()
    if found is None:
        raise NotFound("plan")
    return found


def _check_plan(given: dict[str, Any]) -> None:
    problems = Problems()
    problems.require(given, "name", "code")
    problems.one_of(given, "interval", INTERVALS)
    amount = given.get("amount_cents")
    if not isinstance(amount, int) or isinstance(amount, bool) or amount < 0:
        problems.add(
            "amount_cents", "value_is_out_of_range" if isinstance(amount, int) else "value_is_mandatory"
        )
    if not money.is_known(given.get("amount_currency")):
        problems.add("amount_currency", "value_is_invalid")
    if Plan.objects.filter(code=given.get("code"), deleted_at=None).exists():
        problems.add("code", "value_already_exist")
    problems.stop()


def _set_charges(row: Plan, given: list[dict[str, Any]], now: datetime) -> None:
    kept = [str(one["id"]) for one in given if one.get("id")]
    row.charges.filter(deleted_at=None).exclude(pk__in=kept).update(deleted_at=now)
    for one in given:
        old = row.charges.filter(pk=one["id"]).first() if one.get("id") else None
        charge = old or Charge(created_at=now, plan=row, metric=_metric_by_id(one.get("billable_metric_id")))
        problems = Problems()
        problems.one_of({"charge_model": charge.charge_model} | one, "charge_model", MODELS)
        problems.stop()
        charge.code = one.get("code") or charge.code or charge.metric.code
        charge.charge_model = one.get("charge_model") or charge.charge_model
        charge.pay_in_advance = bool(one.get("pay_in_advance", charge.pay_in_advance))
        charge.invoiceable = True  # false needs a licence and is ignored without
        charge.prorated = bool(one.get("prorated", charge.prorated))
        charge.properties = one.get("properties") or charge.properties
        charge.invoice_display_name = one.get("invoice_display_name") or ""
        charge.save()


def _metric(code: str) -> BillableMetric:
    found = BillableMetric.objects.filter(code=code, deleted_at=None).first()
    if found is None:
        raise NotFound("billable_metric")
    return found


def _metric_by_id(lago_id: Any) -> BillableMetric:
    """Return the metric of a charge: named by Lago's id, never by its code."""
    try:
        found = BillableMetric.objects.filter(pk=UUID(str(lago_id)), deleted_at=None).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound("billable_metrics")
    return found
