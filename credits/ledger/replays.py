"""Replays: a request whose transaction id was used is answered with what the first one did, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from credits.ledger import keys, payers
from credits.ledger.commands import Command, MakeCharge, PlaceHold, Settled
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.standing import Standing
from credits.limits import quotas
from credits.models import Allocation, CreditPool, Hold, TransactionKey, UsageRecord


@dataclass(slots=True)
class Earlier:
    """What earlier requests did under the keys of this batch."""

    used: dict[keys.Key, TransactionKey] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    charges: dict[UUID, UsageRecord] = field(default_factory=dict)


def read(commands: Sequence[Command], claimed: set[keys.Key]) -> Earlier:
    """Read what the unclaimed keys of these commands stand for, in statements after the claim waited for them."""
    wanted = [c.key for c in commands if isinstance(c, (PlaceHold, MakeCharge)) and c.key not in claimed]
    if not wanted:
        return Earlier()
    used = keys.read(wanted)
    holds = [key.subject for key in used.values() if key.kind == TransactionKey.Kind.HOLD]
    charges = [key.subject for key in used.values() if key.kind == TransactionKey.Kind.CHARGE]
    return Earlier(
        used,
        Hold.objects.select_related("pool", "allocation").in_bulk(holds),
        UsageRecord.objects.select_related("pool", "allocation").in_bulk(charges),
    )


def answer(earlier: Earlier, command: PlaceHold | MakeCharge, stands: Standing) -> Settled | None:
    """Return the first result with the present status, remaining and quota; None where the first has vanished again.

    Raises IdempotencyConflict where the content differs (law 5).
    """
    key = earlier.used.get(command.key)
    if key is None:
        return None
    kind = TransactionKey.Kind.HOLD if isinstance(command, PlaceHold) else TransactionKey.Kind.CHARGE
    if key.kind != kind or key.content != command.content():
        raise IdempotencyConflict("This transaction_id was used for another request.")
    hold, charge = earlier.holds.get(key.subject), earlier.charges.get(key.subject)
    paid = hold if hold is not None else charge
    row: CreditPool | Allocation | None = (paid.pool or paid.allocation) if paid is not None else None
    return Settled(
        hold=hold,
        charge=charge,
        payer=payers.describe(row, stands),
        quota=quotas.state(stands, quotas.Counters()),
        organization=stands.organization,
        replayed=True,
    )
