"""What the books say after a load, beside what the clients were told."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.db.models import Sum

from bench.load_clients import Log
from credits.ledger import reconcile
from credits.models import Allocation, CreditPool, UsageRecord


@dataclass(slots=True, kw_only=True)
class Compared:
    """One load: ids by how they ended, and everything that must be 0."""

    accepted: int
    refused: int
    replayed: int
    overspent: Decimal
    lost: int
    """Ids that were answered with a charge which the books have not."""
    doubled: int
    """Ids with two charges in the books, or answered with two, or charged though every answer refused them."""
    wrongly_refused: int
    """Whole credits that were left with somebody who was refused."""
    errors: int
    """Answers of 500 and above, and connections that ended without one."""
    strange: int
    """Any other answer than 200, 201 and 402."""

    @property
    def is_sound(self) -> bool:
        return not (
            self.overspent or self.lost or self.doubled or self.wrongly_refused or self.errors or self.strange
        )


def compare(log: Log, *, organization_ids: Collection[int], funded: Decimal, prefix: str) -> Compared:
    """Compare the clients' log with the books of these organizations, who had `funded` credits to spend."""
    booked = UsageRecord.objects.filter(
        organization_id__in=organization_ids, transaction_id__startswith=f"{prefix}-"
    )
    charges: dict[str, set[str]] = defaultdict(set)
    for key, charge in booked.filter(kind="charge").values_list("transaction_id", "id"):
        charges[key].add(str(charge))
    told: dict[str, set[str]] = defaultdict(set)
    for one in log.answers:
        if one.charge:
            told[one.key].add(one.charge)
    statuses = Counter(one.status for one in log.answers)
    refused = {one.key for one in log.answers if one.status == 402} - set(told)
    unsure = {one.key for one in log.answers if one.status not in (200, 201, 402)}
    taken = booked.aggregate(sum=Sum("credits"))["sum"] or Decimal(0)
    return Compared(
        accepted=len(told),
        refused=len(refused),
        replayed=statuses[200],
        overspent=max(taken - funded, Decimal(0)) + _below_zero(organization_ids),
        lost=sum(1 for key, ids in told.items() if not ids <= charges[key]),
        doubled=sum(1 for key in log.sent if len(charges[key]) > 1 or len(told[key]) > 1)
        + sum(1 for key in refused - unsure if charges[key]),
        wrongly_refused=_left_with_the_refused(log, refused, organization_ids),
        errors=sum(count for status, count in statuses.items() if status >= 500) + log.unanswered,
        strange=sum(
            count for status, count in statuses.items() if status not in (200, 201, 402) and status < 500
        ),
    )


def deadlocks() -> int:
    """Return how many deadlocks PostgreSQL has broken in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def violations() -> list[str]:
    return [str(one) for one in reconcile.prove_all()]


def _below_zero(organization_ids: Collection[int]) -> Decimal:
    pools = CreditPool.objects.filter(organization_id__in=organization_ids, available__lt=0)
    shares = Allocation.objects.filter(organization_id__in=organization_ids, remaining__lt=0)
    return -sum(
        (*pools.values_list("available", flat=True), *shares.values_list("remaining", flat=True)), Decimal(0)
    )


def _left_with_the_refused(log: Log, refused: Collection[str], organization_ids: Collection[int]) -> int:
    """Return the whole credits that lie with a payer that refused: each request asks for one."""
    left = {
        user: int(credits)
        for user, credits in Allocation.objects.filter(
            organization_id__in=organization_ids, closed_at=None
        ).values_list("user__public_id", "remaining")
    }
    pools = CreditPool.objects.filter(organization_id__in=organization_ids, department=None)
    left |= {
        organization: int(credits)
        for organization, credits in pools.values_list("organization__public_id", "available")
    }
    targets = {log.sent[key] for key in refused}
    return sum(left.get(target.user or target.organization, 0) for target in targets)
