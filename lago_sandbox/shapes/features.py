"""Features and entitlements as JSON."""

from typing import Any

from lago_sandbox import clock
from lago_sandbox.models import Feature, Plan, Subscription


def feature(row: Feature) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "description": row.description,
        "privileges": row.privileges,
        "created_at": clock.seconds(row.created_at),
    }


def of_plan(row: Plan) -> list[dict[str, Any]]:
    """Return what a plan entitles to."""
    return [
        _head(one)
        | {
            "privileges": [
                {**privilege, "value": row.entitlements[one.code][privilege["code"]]}
                for privilege in one.privileges
                if privilege["code"] in row.entitlements[one.code]
            ]
        }
        for one in _features(row.entitlements)
    ]


def of_subscription(row: Subscription) -> list[dict[str, Any]]:
    """Return what a subscription entitles to: the plan's value, and the one that takes its place."""
    plan, own = row.plan.entitlements, row.entitlements
    kept = {code for code in {*plan, *own} if own.get(code, {}) is not None}
    return [
        _head(one)
        | {
            "privileges": _privileges(one, plan.get(one.code) or {}, own.get(one.code) or {}),
            "overrides": own.get(one.code) or {},
        }
        for one in _features(kept)
    ]


def _privileges(one: Feature, plan: dict[str, Any], own: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            **privilege,
            "value": own.get(code, plan.get(code)),
            "plan_value": plan.get(code),
            "override_value": own.get(code),
        }
        for privilege in one.privileges
        if (code := privilege["code"]) in plan or code in own
    ]


def _features(codes: Any) -> list[Feature]:
    return list(Feature.objects.filter(code__in=list(codes), deleted_at=None).order_by("created_at", "id"))


def _head(one: Feature) -> dict[str, Any]:
    return {"code": one.code, "name": one.name, "description": one.description}
