"""What the portal needs at Lago: two metrics, one for each of LAGO_EVENT_CODES, and the plans of product.md §9."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from lago_sync.client.transport import Json
from lago_sync.customers.restrictions import METRIC

CREDITS_USED: Final = METRIC
API_CALL: Final = "api_call"

METRICS: Final[dict[str, dict[str, Any]]] = {
    CREDITS_USED: {"name": "Credits used", "aggregation_type": "sum_agg", "field_name": "credits"},
    API_CALL: {"name": "API calls", "aggregation_type": "count_agg", "field_name": None},
}
"""By code, what a metric of it must be."""


def metrics() -> dict[str, dict[str, Any]]:
    """Return all metrics by code: our two, and a count of the events of each code that services have of their own."""
    codes = sorted(set(settings.LAGO_EVENT_CODES.values()) - set(METRICS))
    counts = {code: {"name": code, "aggregation_type": "count_agg", "field_name": None} for code in codes}
    return METRICS | counts


CURRENCY: Final = "USD"
_MONTHS_PAID_A_YEAR: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOffer:
    """A plan as it is made at Lago; an existing one keeps the price it has."""

    code: str
    name: str
    interval: str
    amount_cents: int


def plans() -> Iterator[PlanOffer]:
    """Yield the plans, each paid monthly one also by the year, at the price of ten months."""
    yield PlanOffer(code="founders_friend", name="Founder's friend", interval="monthly", amount_cents=0)
    yield PlanOffer(code="trial", name="Trial", interval="weekly", amount_cents=100)
    for code, name, cents in (
        ("starter", "Starter", 1900),
        ("professional", "Professional", 4900),
        ("enterprise", "Enterprise", 9900),
    ):
        yield PlanOffer(code=code, name=name, interval="monthly", amount_cents=cents)
        yield PlanOffer(
            code=f"{code}_yearly",
            name=f"{name}, yearly",
            interval="yearly",
            amount_cents=cents * _MONTHS_PAID_A_YEAR,
        )


def plan_fields(offer: PlanOffer, metric_ids: dict[str, str]) -> Json:
    """Return what Lago is sent to make a plan; `metric_ids` are Lago's own, by code."""
    return {
        "name": offer.name,
        "code": offer.code,
        "interval": offer.interval,
        "amount_cents": offer.amount_cents,
        "amount_currency": CURRENCY,
        "pay_in_advance": True,
        "charges": [_free_charge(metric_ids[code]) for code in metrics()],
    }


def _free_charge(metric_id: str) -> Json:
    """Return a charge that shows usage at Lago and bills none of it."""
    return {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "pay_in_advance": False,
        "prorated": False,
        "properties": {"amount": "0"},
    }
