"""Billable metrics and plans at Lago, by their codes."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def metric(code: str) -> Json | None:
    answer = transport.get(transport.path("billable_metrics", code))
    return transport.inside(answer, "billable_metric") if answer is not None else None


def metrics() -> Iterator[Json]:
    return transport.pages("billable_metrics", "billable_metrics")


def make_metric(fields: Json) -> Json:
    """Make a metric; a second one with its code is refused, so a lost answer may be asked for again."""
    answer = transport.post("billable_metrics", {"billable_metric": fields}, repeats=False)
    made: Json = transport.inside(answer, "billable_metric")
    return made


def plan(code: str) -> Json | None:
    answer = transport.get(transport.path("plans", code))
    return transport.inside(answer, "plan") if answer is not None else None


def plans(*, page: int = 1) -> Iterator[Json]:
    return transport.pages("plans", "plans", page=page)


def make_plan(fields: Json) -> Json:
    made: Json = transport.inside(transport.post("plans", {"plan": fields}, repeats=False), "plan")
    return made


def change_plan(code: str, fields: Json) -> Json:
    """Change a plan: `charges`, if given, are all it has then, those that stay with their `id`. Raises LagoRefused (404)."""
    changed: Json = transport.inside(transport.put(transport.path("plans", code), {"plan": fields}), "plan")
    return changed
