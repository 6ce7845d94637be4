"""Alerts of subscriptions and wallets: taken without a licence too, looked at only with one."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api import customers, subscriptions
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import body_of
from lago_sandbox.errors import Invalid, MissingRoot, NotFound
from lago_sandbox.models import Alert, BillableMetric, Wallet
from lago_sandbox.shapes.alerts import alert as shape

MOST = 20  # thresholds
OF_USAGE = (
    "current_usage_amount",
    "billable_metric_current_usage_amount",
    "billable_metric_current_usage_units",
    "lifetime_usage_amount",
)
OF_WALLET = (
    "wallet_balance_amount",
    "wallet_credits_balance",
    "wallet_ongoing_balance_amount",
    "wallet_credits_ongoing_balance",
)


def index(request: HttpRequest, **path: str) -> dict[str, Any]:
    rows = Alert.objects.filter(deleted_at=None, **_owner(path)).order_by("-created_at", "id")
    return page(request, rows.select_related("wallet"), name="alerts", shape=shape)


def create(request: HttpRequest, **path: str) -> dict[str, Any]:
    """Make one alert, or several at once, all or none."""
    owner, given = _owner(path), body_of(request)
    if isinstance(given.get("alerts"), list):
        return {"alerts": [shape(_make(owner, one)) for one in given["alerts"]]}
    if not isinstance(given.get("alert"), dict):
        raise MissingRoot("alert")
    return {"alert": shape(_make(owner, given["alert"]))}


def show(_request: HttpRequest, *, code: str, **path: str) -> dict[str, Any]:
    return {"alert": shape(_find(_owner(path), code))}


def update(request: HttpRequest, *, code: str, **path: str) -> dict[str, Any]:
    row, given = _find(_owner(path), code), body_of(request).get("alert") or {}
    row.code, row.name = given.get("code") or row.code, given.get("name", row.name)
    if "thresholds" in given:
        row.thresholds = _thresholds(given["thresholds"])
    row.save()
    return {"alert": shape(row)}


def delete(_request: HttpRequest, *, code: str, **path: str) -> dict[str, Any]:
    row = _find(_owner(path), code)
    row.deleted_at = clock.now()
    row.save(update_fields=["deleted_at"])
    return {"alert": shape(row)}


def _make(owner: dict[str, Any], given: dict[str, Any]) -> Alert:
    problems = Problems()
    problems.require(given, "code")
    allowed = OF_WALLET if "wallet" in owner else OF_USAGE
    problems.one_of(given, "alert_type", allowed)
    metric = given.get("billable_metric_code") or ""
    if str(given.get("alert_type", "")).startswith("billable_metric") and not metric:
        problems.add("billable_metric", "value_is_mandatory")
    if metric and not BillableMetric.objects.filter(code=metric, deleted_at=None).exists():
        raise NotFound("billable_metric")
    if Alert.objects.filter(deleted_at=None, code=given.get("code"), **owner).exists():
        problems.add("code", "value_already_exist")
    problems.stop()
    return Alert.objects.create(
        created_at=clock.now(),
        code=given["code"],
        name=given.get("name"),
        alert_type=given["alert_type"],
        billable_metric_code=metric,
        thresholds=_thresholds(given.get("thresholds")),
        **owner,
    )


def _thresholds(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Invalid({"thresholds": ["value_is_mandatory"]})
    if len(given) > MOST:
        raise Invalid({"thresholds": ["too_many_thresholds"]})
    found = []
    for one in given:
        try:
            value = Decimal(str(one.get("value")))
        except InvalidOperation:
            raise Invalid({"thresholds:value": ["value_is_invalid"]}) from None
        recurring = bool(one.get("recurring"))
        found.append({"code": one.get("code"), "value": f"{value:f}", "recurring": recurring})
    return found


def _owner(path: dict[str, str]) -> dict[str, Any]:
    """Return whose alerts a path names."""
    if "wallet_code" in path:
        wallets = Wallet.objects.filter(
            customer=customers.find(path["external_id"]), code=path["wallet_code"]
        )
        wallet = wallets.filter(status="active").first()
        if wallet is None:
            raise NotFound("wallet")
        return {"wallet": wallet}
    return {"external_subscription_id": subscriptions.find(path["external_id"], None).external_id}


def _find(owner: dict[str, Any], code: str) -> Alert:
    found = Alert.objects.filter(deleted_at=None, code=code, **owner).select_related("wallet").first()
    if found is None:
        raise NotFound("alert")
    return found
