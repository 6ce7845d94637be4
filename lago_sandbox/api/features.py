"""Features and what plans and subscriptions are entitled to (free at Lago)."""

from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api import catalogue, subscriptions
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Feature
from lago_sandbox.shapes import features as shape
from lago_sandbox.webhooks.emit import emit

VALUE_TYPES = {"integer": int, "boolean": bool, "string": str, "select": str}


def create(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "feature"), clock.now()
    problems = Problems()
    problems.require(given, "code")
    if Feature.objects.filter(code=given.get("code"), deleted_at=None).exists():
        problems.add("code", "value_already_exist")
    problems.stop()
    row = Feature(created_at=now, code=given["code"])
    _fill(row, given)
    emit("feature.created", about=row, now=now, extra=shape.feature(row))
    return {"feature": shape.feature(row)}


def index(request: HttpRequest) -> dict[str, Any]:
    rows = Feature.objects.filter(deleted_at=None).order_by("-created_at", "id")
    return page(request, rows, name="features", shape=shape.feature)


def show(_request: HttpRequest, code: str) -> dict[str, Any]:
    return {"feature": shape.feature(_find(code))}


def update(request: HttpRequest, code: str) -> dict[str, Any]:
    row = _find(code)
    _fill(row, root(request, "feature"))
    emit("feature.updated", about=row, now=clock.now(), extra=shape.feature(row))
    return {"feature": shape.feature(row)}


def delete(_request: HttpRequest, code: str) -> dict[str, Any]:
    row, now = _find(code), clock.now()
    row.deleted_at = now
    row.save()
    emit("feature.deleted", about=row, now=now, extra=shape.feature(row))
    return {"feature": shape.feature(row)}


def of_plan(_request: HttpRequest, code: str) -> dict[str, Any]:
    return {"entitlements": shape.of_plan(catalogue.plan(code))}


def set_of_plan(request: HttpRequest, code: str) -> dict[str, Any]:
    """Replace (POST) or add to (PATCH) what a plan entitles to."""
    row, given = catalogue.plan(code), _checked(root(request, "entitlements", may_be_empty=True))
    row.entitlements = _merged(row.entitlements, given) if request.method == "PATCH" else given
    row.save(update_fields=["entitlements"])
    return {"entitlements": shape.of_plan(row)}


def of_subscription(request: HttpRequest, external_id: str) -> dict[str, Any]:
    row = subscriptions.find(external_id, request.GET.get("subscription_status"))
    return {"entitlements": shape.of_subscription(row)}


def change_of_subscription(request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Let one subscription differ from its plan."""
    row = subscriptions.find(external_id, request.GET.get("subscription_status"))
    row.entitlements = _merged(row.entitlements, _checked(root(request, "entitlements")))
    row.save(update_fields=["entitlements"])
    return {"entitlements": shape.of_subscription(row)}


def remove_of_subscription(request: HttpRequest, external_id: str, feature_code: str) -> dict[str, Any]:
    row = subscriptions.find(external_id, request.GET.get("subscription_status"))
    found = [one for one in shape.of_subscription(row) if one["code"] == feature_code]
    if not found:
        raise NotFound("entitlement")
    row.entitlements = {code: kept for code, kept in row.entitlements.items() if code != feature_code}
    if feature_code in row.plan.entitlements:
        row.entitlements[feature_code] = None  # taken away, although the plan has it
    row.save(update_fields=["entitlements"])
    return {"entitlement": found[0]}


def _fill(row: Feature, given: dict[str, Any]) -> None:
    problems = Problems()
    privileges = []
    for one in given.get("privileges") or []:
        kind = one.get("value_type") or "string"
        if kind not in VALUE_TYPES or not one.get("code"):
            problems.add("privilege.value_type" if one.get("code") else "privilege.code", "value_is_invalid")
        config = one.get("config") or {}
        privileges.append(
            {"code": one.get("code"), "name": one.get("name"), "value_type": kind, "config": config}
        )
    problems.stop()
    row.name, row.description = given.get("name", row.name), given.get("description", row.description)
    if "privileges" in given:
        row.privileges = privileges
    row.save()


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    for code, values in given.items():
        privileges = {one["code"]: one for one in _find(code).privileges}
        for name, value in (values or {}).items():
            if name not in privileges:
                raise NotFound("privilege")
            if not _suits(value, privileges[name]):
                raise Invalid({f"{name}_privilege_value": ["value_is_invalid"]})
    return {code: values or {} for code, values in given.items()}


def _suits(value: Any, privilege: dict[str, Any]) -> bool:
    kind = privilege["value_type"]
    if kind == "select":
        return value in privilege["config"].get("select_options", [])
    return isinstance(value, VALUE_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return old | {code: (old.get(code) or {}) | values for code, values in new.items()}


def _find(code: str) -> Feature:
    found = Feature.objects.filter(code=code, deleted_at=None).first()
    if found is None:
        raise NotFound("feature")
    return found
