"""`setup_lago`: makes what the portal needs at an empty Lago, and leaves prices that are there as they are."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings

from lago_sync.client import catalogue, organization
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused
from lago_sync.setup import charges, offer, webhook_key


def install(*, webhook_url: str, now: datetime) -> list[str]:
    """Make the metrics, plans and webhook endpoint that are missing; returns a sentence for each, made or there.

    Twice is once. What is there and wrong is told with what to do about it: no price at Lago is changed silently.
    Raises LagoUnavailable, LagoRefused.
    """
    said: list[str] = []
    metric_ids = {}
    for code, fields in offer.metrics().items():
        metric, sentence = _metric(code, fields)
        metric_ids[code] = str(metric["lago_id"])
        said.append(sentence)
    for wanted in offer.plans():
        said += _plan(wanted, metric_ids)
    said += _endpoint(webhook_url)
    if webhook_key.is_wanted():
        said.append(webhook_key.pin(now=now))
    return said


def _metric(code: str, fields: Json) -> tuple[Json, str]:
    found = catalogue.metric(code)
    if found is not None:
        return found, f"Metric {code} is there."
    wanted = {name: value for name, value in fields.items() if value is not None}
    try:
        return catalogue.make_metric({"code": code, "recurring": False, **wanted}), f"Metric {code} made."
    except LagoRefused as refusal:
        found = catalogue.metric(code) if refusal.has("value_already_exist") else None
        if found is None:
            raise
        return found, f"Metric {code} is there."


def _plan(wanted: offer.PlanOffer, metric_ids: dict[str, str]) -> Iterator[str]:
    found = catalogue.plan(wanted.code)
    if found is None:
        try:
            catalogue.make_plan(offer.plan_fields(wanted, metric_ids))
        except LagoRefused as refusal:
            if not refusal.has("value_already_exist"):
                raise
        yield f"Plan {wanted.code} made."
        return
    yield f"Plan {wanted.code} is there."
    if (found["amount_cents"], found["interval"]) != (wanted.amount_cents, wanted.interval):
        yield f"  Its price is Lago's own: {found['amount_cents']} cents {found['interval']}. Left as it is."
    for problem in charges.problems(found):
        yield f"  {problem.what}. {problem.do}"


def _endpoint(url: str) -> Iterator[str]:
    """Make the endpoint, signed as LAGO_WEBHOOK_SIGNATURE_ALGORITHM says; by JWT a header is as long as the message."""
    wanted = settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM
    found = _endpoint_at(url)
    if found is None:
        try:
            organization.make_webhook_endpoint(
                {"webhook_url": url, "signature_algo": wanted, "name": "Billing portal"}
            )
        except LagoRefused as refusal:
            found = _endpoint_at(url) if refusal.has("value_already_exist") else None
            if found is None:
                raise
        else:
            yield f"Webhook endpoint {url} made."
            return
    if found.get("signature_algo") != wanted:
        organization.change_webhook_endpoint(found["lago_id"], {"webhook_url": url, "signature_algo": wanted})
        yield f"Webhook endpoint {url} signs with {wanted} now."
        return
    yield f"Webhook endpoint {url} is there."


def _endpoint_at(url: str) -> Json | None:
    return next((one for one in organization.webhook_endpoints() if one["webhook_url"] == url), None)
