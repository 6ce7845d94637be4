"""Subscriptions: the same POST creates one, leaves it as it is, changes it up or plans a change down."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api import catalogue, customers
from lago_sandbox.api.fields import Problems, moment
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import require_licence, root
from lago_sandbox.billing import lifecycle, schedule
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Customer, Subscription
from lago_sandbox.shapes import subscriptions as shape
from lago_sandbox.webhooks.emit import emit

STATUSES = ("pending", "active", "terminated", "canceled", "incomplete")


def create(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "subscription"), clock.now()
    starts_at, ends_at = _check(given, now)
    if given.get("plan_overrides"):
        require_licence()
    plan = catalogue.plan(str(given.get("plan_code")))
    external_id = str(given["external_id"]).strip()
    customer = _customer(str(given["external_customer_id"]).strip(), now)
    if customers.is_other_currency(customer, plan.amount_currency):
        raise Invalid({"currency": ["currencies_does_not_match"]})
    if not customer.currency:
        customer.currency = plan.amount_currency
        customer.save(update_fields=["currency"])
    row = _present(external_id, customer)
    name = str(given.get("name") or "")
    if row is None:
        row = lifecycle.create(
            customer=customer,
            plan=plan,
            external_id=external_id,
            now=now,
            subscription_at=starts_at or now,
            ending_at=ends_at,
            name=name,
            billing_time=given.get("billing_time") or "calendar",
        )
    elif row.status == "pending" and row.previous_id is None:
        row.plan, row.name = plan, name or row.name  # not yet begun: edited in place
        row.save()
    elif row.plan_id != plan.id:
        is_up = plan.yearly_amount_cents >= row.plan.yearly_amount_cents
        change = lifecycle.upgrade if is_up else lifecycle.downgrade
        row = change(row, plan=plan, name=name, now=now)
    return {"subscription": shape.subscription(row)}


def index(request: HttpRequest) -> dict[str, Any]:
    return listed(request, Subscription.objects.filter(customer__deleted_at=None))


def index_of_customer(request: HttpRequest, external_id: str) -> dict[str, Any]:
    return listed(request, Subscription.objects.filter(customer=customers.find(external_id)))


def listed(request: HttpRequest, rows: Any) -> dict[str, Any]:
    """Return subscriptions; without `status[]` only active ones."""
    wanted = request.GET.getlist("status[]") or request.GET.getlist("status") or ["active"]
    rows = rows.filter(status__in=wanted).select_related("plan", "customer", "previous__plan")
    if external_id := request.GET.get("external_customer_id"):
        rows = rows.filter(customer__external_id=external_id)
    if code := request.GET.get("plan_code"):
        rows = rows.filter(plan__code=code)
    rows = rows.order_by("-subscription_at", "-created_at")
    return page(request, rows, name="subscriptions", shape=shape.subscription)


def show(request: HttpRequest, external_id: str) -> dict[str, Any]:
    return {"subscription": shape.subscription(find(external_id, request.GET.get("status")))}


def update(request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Change name and dates; the plan is changed by POST only."""
    given, now = root(request, "subscription"), clock.now()
    row = find(external_id, request.GET.get("status"))
    problems = Problems()
    row.name = given.get("name") or row.name
    if "ending_at" in given:
        row.ending_at = moment(problems, given, "ending_at")
        _check_end(problems, row.ending_at, row.subscription_at, now)
    for name, allowed in (
        ("on_termination_credit_note", ("credit", "skip", "refund", "offset")),
        ("on_termination_invoice", ("generate", "skip")),
    ):
        if given.get(name):
            problems.one_of(given, name, allowed)
            setattr(row, name, given[name])
    problems.stop()
    row.save()
    schedule.plan_next(now)
    schedule.plan_alerts(row, now)
    emit("subscription.updated", about=row, now=now)
    return {"subscription": shape.subscription(row)}


def delete(request: HttpRequest, external_id: str) -> dict[str, Any]:
    """End at once, or cancel what is pending (`?status=pending`)."""
    status, now = request.GET.get("status"), clock.now()
    row = find(external_id, "pending" if status == "pending" else None)
    if row.status == "pending":
        row = lifecycle.cancel(row, now=now)
    else:
        row = lifecycle.terminate(
            row,
            credit_note=request.GET.get("on_termination_credit_note") or row.on_termination_credit_note,
            invoice=request.GET.get("on_termination_invoice") or row.on_termination_invoice,
            now=now,
        )
    return {"subscription": shape.subscription(row)}


def find(external_id: str, status: str | None) -> Subscription:
    """Return the latest with a status (active if none is named) or answer 404."""
    rows = Subscription.objects.filter(external_id=external_id, status=status or "active")
    found = rows.select_related("plan", "customer", "previous__plan").order_by("created_at").last()
    if found is None:
        raise NotFound("subscription")
    return found


def _check(given: dict[str, Any], now: datetime) -> tuple[datetime | None, datetime | None]:
    problems = Problems()
    problems.require(given, "external_id", "external_customer_id")
    if given.get("billing_time"):
        problems.one_of(given, "billing_time", ("calendar", "anniversary"))
    starts_at = moment(problems, given, "subscription_at")
    ends_at = moment(problems, given, "ending_at")
    _check_end(problems, ends_at, starts_at, now)
    problems.stop()
    return starts_at, ends_at


def _check_end(
    problems: Problems, ends_at: datetime | None, starts_at: datetime | None, now: datetime
) -> None:
    if ends_at is None:
        return
    if ends_at.date() <= now.date() or (starts_at is not None and ends_at <= starts_at):
        problems.add("ending_at", "invalid_date")


def _customer(external_id: str, now: datetime) -> Customer:
    """Return the customer; an unknown one is made, and nobody is told (B18)."""
    try:
        return customers.find(external_id)
    except NotFound:
        return customers.create(external_id, now=now)


def _present(external_id: str, customer: Customer) -> Subscription | None:
    """Return the one that lives under this id; the id belongs to one customer of the whole organization (B23)."""
    rows = Subscription.objects.filter(external_id=external_id).select_related("plan", "customer")
    active = rows.filter(status="active").first()
    if active is not None and active.customer_id != customer.id:
        raise Invalid({"external_id": ["value_already_exist"]})
    return active or rows.filter(status="pending", previous=None, customer=customer).first()
