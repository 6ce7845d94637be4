"""The steps that move a subscription, in the only order that bills nothing twice: stop, start, end (see `moves`)."""

from dataclasses import replace
from typing import Any

from lago_sync.client import customers, invoices, subscriptions
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused
from lago_sync.migration import moves, standing
from lago_sync.migration.cases import CannotMigrate, Case
from lago_sync.migration.moves import ANEW, CARRY_ON, Move, Waits
from lago_sync.subscriptions import plans


def stop_renewals(case: Case) -> None:
    """Decide, and tell Lago that the old subscription ends with its period, before the next one is billed.

    From here on the old one bills no period any more, whatever becomes of us. What the customer wished for (an end, a
    downgrade) is kept first, since this writes over it.
    """
    move = _decided(case)
    if move is not None:
        require_none(case.organization.public_id)
    case.note(move=move.plain() if move is not None else None, is_stopping=True)
    if move is None:
        return
    if move.next_plan_code:
        subscriptions.cancel_pending(move.external_id)
    if move.ending_at and standing.instant(move.ending_at) <= move.stops_at:
        return
    subscriptions.update(
        move.external_id,
        {
            "ending_at": move.stops_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "on_termination_credit_note": "skip",
            "on_termination_invoice": "generate",
        },
    )


def start(case: Case) -> None:
    """Start the organization's subscription on the same plan, so that it is billed first when the paid period is over."""
    move = case.move
    if move is None or move.is_over(case.lagos_now):
        plans.refresh(organization=case.organization, now=case.now)
        return
    ours = plans.external_id(case.organization)
    require_none(
        case.organization.public_id, but=(ours, move.plan_code) if case.facts.get("is_starting") else None
    )
    case.note(is_starting=True)
    if subscriptions.get(ours) is None:
        _void(case, move)
        subscriptions.create(_fields(case, move))
    if move.next_plan_code:
        following = {"external_customer_id": case.organization.public_id, "external_id": ours}
        subscriptions.create(following | {"plan_code": move.next_plan_code})
    live = plans.refresh(organization=case.organization, now=case.now)
    if live is None or live.plan_code != move.plan_code:
        raise CannotMigrate(f"Lago does not show {ours} on plan {move.plan_code}.")


def end(case: Case) -> None:
    """End the old subscription now that the new one lives: paid days give no credit, priced use is invoiced once."""
    move = case.move
    if move is None or move.is_over(case.lagos_now):
        return
    one = subscriptions.get(move.external_id)
    if one is None or one["lago_id"] != move.lago_id:
        return
    external_id = str(case.customer["external_id"])
    used = customers.current_usage(external_id, external_subscription_id=move.external_id) or {}
    case.note(
        usage_cents=int(used.get("total_amount_cents") or 0),
        invoices=len(standing.plan_invoices(external_id)),
    )
    subscriptions.terminate(move.external_id, credit_note="skip", invoice="generate")


def require_none(public_id: str, *, but: tuple[str, str] | None = None) -> None:
    """Raise CannotMigrate where an organization has a live subscription at Lago; `but` is one (id, plan) that may be."""
    if customers.get(public_id) is None:
        return
    for one in subscriptions.of_customer(public_id):
        if (one["external_id"], one["plan_code"]) != but:
            raise CannotMigrate(
                f"{public_id} has a live subscription on {one['plan_code']} already; end one of the two."
            )


def _decided(case: Case) -> Move | None:
    """Return the decision of now; what an earlier try wrote over at Lago is as it was kept before."""
    move, kept = moves.decide(standing.look(case.row.from_external_id), now=case.lagos_now), case.move
    if move is None or kept is None or not case.facts.get("is_stopping") or kept.lago_id != move.lago_id:
        return move
    return replace(move, ending_at=kept.ending_at, next_plan_code=kept.next_plan_code)


def _fields(case: Case, move: Move) -> Json:
    fields: dict[str, Any] = {
        "external_customer_id": case.organization.public_id,
        "external_id": plans.external_id(case.organization),
        "plan_code": move.plan_code,
        "billing_time": move.billing_time,
        "name": case.organization.name,
    }
    if move.ending_at:
        fields["ending_at"] = move.ending_at
    if move.kind == CARRY_ON and _still_runs(case, move):
        fields["subscription_at"] = move.starts_at
    return fields


def _still_runs(case: Case, move: Move) -> bool:
    """Tell whether the old one still lives; where we came back after it ended, the new one is billed from today."""
    one = subscriptions.get(move.external_id)
    if one is None or one["lago_id"] != move.lago_id:
        return False
    move.refuse_late(case.lagos_now)
    return True


def _void(case: Case, move: Move) -> None:
    """Void what the old one billed for a period that begins anew: it is not paid, and the new one bills the same days."""
    for lago_id in move.void if move.kind == ANEW else ():
        try:
            invoices.void(lago_id)
        except LagoRefused as refusal:
            found = invoices.get(lago_id)
            if found is None or found["status"] != "voided":
                case.note(step="customer")  # so that it is decided again
                raise Waits("Its invoice of today is paid by now. Run this again tomorrow.") from refusal
