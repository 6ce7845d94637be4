"""Subscriptions at Lago, by our external id, which stays the same through every change of plan."""

from collections.abc import Iterator, Sequence

from lago_sync.client import transport
from lago_sync.client.transport import Json


def create(fields: Json) -> Json:
    """Start a subscription, or change its plan; the same plan again changes nothing, so it may be repeated."""
    made: Json = transport.inside(
        transport.post("subscriptions", {"subscription": fields}, repeats=True), "subscription"
    )
    return made


def of_customer(external_customer_id: str, *, statuses: Sequence[str] = ("active",)) -> Iterator[Json]:
    """Yield a customer's subscriptions in these states, also those under ids that are not ours.

    Asked by customer, since a misspelt filter of the global list answers everybody's. Raises LagoRefused (404) for an
    unknown customer.
    """
    found = transport.pages(
        transport.path("customers", external_customer_id, "subscriptions"),
        "subscriptions",
        {"status[]": list(statuses)},
    )
    return (one for one in found if one["status"] in statuses)


def everyone(*, statuses: Sequence[str] = ("active",), page: int = 1) -> Iterator[Json]:
    """Yield the subscriptions of all customers in these states, the latest `subscription_at` first."""
    found = transport.pages("subscriptions", "subscriptions", {"status[]": list(statuses)}, page=page)
    return (one for one in found if one["status"] in statuses)


def get(external_id: str, *, status: str = "active") -> Json | None:
    """Return the subscription with this id that is in this state; None where there is none."""
    answer = transport.get(transport.path("subscriptions", external_id), {"status": status})
    return transport.inside(answer, "subscription") if answer is not None else None


def update(external_id: str, fields: Json, *, status: str = "active") -> Json:
    """Change the name, `ending_at` (None: it goes on) or what happens at the end; never the plan (`create` does).

    Raises LagoRefused (404) where none is in this state, (422) for an end that is past.
    """
    resource = transport.path("subscriptions", external_id)
    changed: Json = transport.inside(
        transport.put(resource, {"subscription": fields}, {"status": status}), "subscription"
    )
    return changed


def terminate(external_id: str, *, credit_note: str = "", invoice: str = "") -> Json | None:
    """End a subscription now; None if it had ended.

    `credit_note` is credit, skip, refund or offset, `invoice` generate or skip: else what the subscription says.
    """
    params = {"on_termination_credit_note": credit_note, "on_termination_invoice": invoice}
    answer = transport.delete(
        transport.path("subscriptions", external_id), {name: value for name, value in params.items() if value}
    )
    return transport.inside(answer, "subscription") if answer is not None else None


def cancel_pending(external_id: str) -> Json | None:
    """Take back a planned change (a downgrade, or a start that is to come); None if there is none."""
    answer = transport.delete(transport.path("subscriptions", external_id), {"status": "pending"})
    return transport.inside(answer, "subscription") if answer is not None else None
