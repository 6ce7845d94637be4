"""What the charges of a plan at Lago must be, so that usage shows there and is never billed a second time."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from lago_sync.client.transport import Json
from lago_sync.errors import Problem
from lago_sync.setup import offer


def problems(plan: Json, *, is_ours: bool = True) -> Iterator[Problem]:
    """Yield what is wrong with a plan's charges on our metrics.

    A priced one bills credits twice, on whatever plan; a missing one only hides usage, and only of our plans is it asked.
    """
    metrics = offer.metrics()
    found = [one for one in plan.get("charges") or [] if one.get("billable_metric_code") in metrics]
    for charge in found:
        if not _is_free(charge):
            yield Problem(
                what=f"Plan {plan['code']} charges for {charge['billable_metric_code']}: credits would be billed twice",
                do='In Lago, make it a standard charge of amount "0", in arrears, without a minimum or filters.',
                stops_purchases=True,
            )
    charged = {one["billable_metric_code"] for one in found}
    if is_ours:
        for code in metrics:
            if code not in charged:
                yield Problem(
                    what=f"Plan {plan['code']} has no charge on {code}, so its use does not show at Lago",
                    do='In Lago, add a standard charge of amount "0" on it, in arrears.',
                )


def _is_free(charge: Json) -> bool:
    prices = [charge.get("properties"), *(one.get("properties") for one in charge.get("filters") or [])]
    return (
        charge.get("charge_model") == "standard"
        and not charge.get("pay_in_advance")  # each event would make an invoice of its own
        and not charge.get("min_amount_cents")
        and all(_is_zero((one or {}).get("amount")) for one in prices)
    )


def _is_zero(amount: Any) -> bool:
    try:
        return Decimal(str(amount)) == 0
    except InvalidOperation:
        return False
