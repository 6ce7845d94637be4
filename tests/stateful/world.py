"""The real side: one organization in PostgreSQL, asked by the ledger's own verbs, and read back as plain figures.

Every story lives in a savepoint that is rolled back, so the next one begins with the same rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import connection, transaction

from credits.ledger import (
    burndown,
    charging,
    expiries,
    forgiveness,
    grants,
    guesses,
    holds,
    pools,
    reconcile,
    withdrawals,
)
from credits.ledger.commands import CaptureHold, MakeCharge, Outcome, PlaceHold, Reach, ReleaseHold, Spender
from credits.ledger.reversals import Reversed, reverse
from credits.limits import budgets
from credits.limits.budgets import Subject
from credits.models import Budget, CreditPool, Grant, Withdrawal
from credits.pricing import costs, table
from credits.sharing import allocations, resets, transfers
from credits.sharing import expiries as ends
from credits.sharing.allocations import Mode, Share
from kit import transactions
from orgs import departments, memberships, organizations, subscriptions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import Membership, Organization, Plan
from tests.factories import credits as make
from tests.stateful.books import BEGINNING
from tests.stateful.granting import FIRST_PERIOD, FULL_CENTS, INCLUDED, PERIOD
from tests.stateful.spending import PRICES, Cost, Spend

PEOPLE: Final = ("ann", "bob", "cat")
DEPARTMENTS: Final = ("red", "blue")
GATEWAY: Final = "gateway"
_numbers = count(1)

_FIGURES: Final = """
SELECT 'pool', coalesce(d.name, ''), ARRAY[p.available, p.held, p.spent, p.overdraft_limit]::text[]
FROM credits_creditpool p LEFT JOIN orgs_department d ON d.id = p.department_id WHERE p.organization_id = %(o)s
UNION ALL
SELECT 'share', u.name, ARRAY[a.remaining::text, a.held::text, a.used::text, a.spent::text, coalesce(d.name, ''),
  (a.closed_at IS NULL)::text, a.is_limited::text, a.amount::text, a.reset_period,
  coalesce((extract(epoch FROM a.resets_at)::bigint - %(b)s)::text, '')]
FROM credits_allocation a JOIN orgs_user u ON u.id = a.user_id JOIN credits_creditpool p ON p.id = a.pool_id
LEFT JOIN orgs_department d ON d.id = p.department_id WHERE a.organization_id = %(o)s
UNION ALL
SELECT 'reset', u.name || ' ' || (extract(epoch FROM r.due_at)::bigint - %(b)s),
  ARRAY[r.used, r.held, r.remaining, r.topped_up, r.returned, r.short]::text[]
FROM credits_allocationreset r JOIN credits_allocation a ON a.id = r.allocation_id JOIN orgs_user u ON u.id = a.user_id
WHERE r.organization_id = %(o)s
UNION ALL
SELECT 'hold', h.id::text, ARRAY[h.status, h.credits::text, h.counts::text] FROM credits_hold h WHERE h.organization_id = %(o)s
UNION ALL
SELECT 'charge', r.id::text, ARRAY[r.cost::text, r.credits::text, r.late::text, r.unpriced::text, coalesce(s.settled, 0.000000)::text,
  coalesce(s.amount - s.settled - s.forgiven, 0.000000)::text]
FROM credits_usagerecord r LEFT JOIN credits_shortfall s ON s.charge_id = r.id
WHERE r.organization_id = %(o)s AND r.kind = 'charge'
UNION ALL
SELECT 'quota', q.period || ' ' || q.starts_on, ARRAY[q.used::text] FROM credits_quotausage q WHERE q.organization_id = %(o)s AND q.used > 0
UNION ALL
SELECT 'budget', concat_ws(' ', b.scope, coalesce(d.name, u.name, b.model), b.period, b.is_hard::text), ARRAY[b.credits::text, b.since::text]
FROM credits_budget b LEFT JOIN orgs_department d ON d.id = b.department_id LEFT JOIN orgs_user u ON u.id = b.user_id
WHERE b.organization_id = %(o)s AND b.archived_at IS NULL
UNION ALL
SELECT 'taken', concat_ws(' ', b.scope, coalesce(d.name, u.name, b.model), b.period, 'true', t.starts_on), ARRAY[t.used, t.held]::text[]
FROM credits_budgetusage t JOIN credits_budget b ON b.id = t.budget_id
LEFT JOIN orgs_department d ON d.id = b.department_id LEFT JOIN orgs_user u ON u.id = b.user_id
WHERE b.organization_id = %(o)s AND b.archived_at IS NULL AND b.is_hard AND t.starts_on >= b.since AND (t.used <> 0 OR t.held <> 0)
UNION ALL
SELECT 'grant', g.source || ' ' || g.reference, ARRAY[b.credits, b.consumed, b.expired, b.withdrawn]::text[]
FROM credits_grantbalance b JOIN credits_grant g ON g.id = b.grant_id
WHERE b.organization_id = %(o)s AND g.source <> 'plan' AND g.reference NOT LIKE 'reversal %%'
UNION ALL
SELECT 'grant', x.kind, array_agg(x.balance ORDER BY x.balance COLLATE "C") FROM (
  SELECT CASE g.source WHEN 'plan' THEN 'plan' ELSE 'reversal' END AS kind,
    concat_ws(' ', b.credits, b.consumed, b.expired, b.withdrawn) AS balance
  FROM credits_grantbalance b JOIN credits_grant g ON g.id = b.grant_id
  WHERE b.organization_id = %(o)s AND (g.source = 'plan' OR g.reference LIKE 'reversal %%')) AS x GROUP BY 2
UNION ALL
SELECT 'keys', '', ARRAY[count(*)::text] FROM credits_transactionkey k WHERE k.organization_id = %(o)s
"""


@cache
def _laws() -> str:
    each = [
        f"SELECT '{name}', x.a::text, x.b::text, x.c::text FROM (\n{query}\n) AS x(a, b, c)"
        for name, query in reconcile.laws().items()
    ]
    return "\nUNION ALL\n".join(each)


class World:
    """One organization of three people and two departments, with everything a story may do to it."""

    def __init__(self) -> None:
        self.organization = make.team()
        self.stranger = make.team()
        self.users = {name: make.orgs.user(name) for name in PEOPLE}
        self.memberships = {
            name: make.orgs.member(self.organization, who=user) for name, user in self.users.items()
        }
        self.departments = {name: make.orgs.department(self.organization, name) for name in DEPARTMENTS}
        self.keys = {name: make.orgs.membership_key(one).key for name, one in self.memberships.items()}
        self.names = {user.pk: name for name, user in self.users.items()}
        for name, (per_input, per_output) in PRICES.items():
            make.price(name, input_price=per_input, output_price=per_output)
        with transaction.atomic():
            self.pool = CreditPool.objects.get_or_create(organization=self.organization, department=None)[0]
        self.holds: list[UUID] = []
        self.charges: list[UUID] = []

    @contextmanager
    def story(self) -> Iterator[None]:
        """Live one story: whatever happens in it is undone at its end, the clock and what the process remembers too."""
        self.holds, self.charges = [], []
        guesses.forget()
        table.forget()
        block = transaction.atomic()
        setattr(block, "_from_testcase", True)  # noqa: B010 - as Django's TestCase does: `durable()` may open its own inside
        with block:
            with connection.cursor() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                self.began = cursor.fetchone()[0]
            self.move_clock(0)
            try:
                yield
                connection.check_constraints()
            finally:
                transaction.set_rollback(True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('portal.clock_offset', '0', false)")

    def begin(
        self, *, shared: str, day: int | None, month: int | None, markup: int, overdraft: Decimal
    ) -> None:
        """Set what the organization's story starts with."""
        Organization.objects.filter(pk=self.organization.pk).update(shared_spending=shared)
        plan = Plan.objects.create(
            code=f"stateful{next(_numbers)}",
            name="A plan",
            daily_calls=day,
            monthly_calls=month,
            markup_percent=markup,
            included_credits=int(INCLUDED),
        )
        self.subscription = make.subscribe(self.organization, plan.code)
        CreditPool.objects.filter(pk=self.pool.pk).update(overdraft_limit=overdraft)

    def move_clock(self, offset: int) -> None:
        """Let the ledger's clock stand this many seconds after the beginning of all stories."""
        with connection.cursor() as cursor:
            ahead = BEGINNING - self.began + timedelta(seconds=offset)
            cursor.execute(
                "SELECT set_config('portal.clock_offset', %s, false)", [f"{ahead.total_seconds()} s"]
            )

    # --- spending

    def settle(self, *asked: Spend, offset: int) -> list[Outcome]:
        return charging.settle([self._command(one, offset) for one in asked])

    def capture(self, place: int, cost: Cost, *, by: str, reach: str) -> Outcome:
        return self._end(CaptureHold, place, by, reach, cost=_cost(cost))

    def release(self, place: int, *, by: str, reach: str) -> Outcome:
        return self._end(ReleaseHold, place, by, reach)

    def sweep(self) -> int:
        return holds.expire_due()

    def settle_debts(self) -> int:
        return holds.settle_debts()

    def reverse(self, place: int, credits: Decimal | None) -> Reversed:
        with transactions.durable():
            return reverse(
                charge_id=self.charges[place],
                organization_id=None,
                credits=credits,
                reason="a mistake",
                by=SYSTEM,
            )

    # --- sharing out

    def allocate(self, shares: Sequence[tuple[str, Decimal, str]], **terms: Any) -> None:
        asked = [
            Share(user=self.users[who], credits=credits, mode=Mode(mode), **terms)
            for who, credits, mode in shares
        ]
        with transactions.durable():
            allocations.assign_all(organization=self.organization, shares=asked, by=SYSTEM)

    def revoke(self, who: str, *, limited: bool) -> None:
        with transactions.durable():
            allocations.revoke(
                organization=self.organization, user=self.users[who], by=SYSTEM, limited=limited
            )

    def look(self) -> None:
        resets.refresh(self.organization)

    def reset_due(self) -> int:
        return resets.run_due()

    def expire_due(self) -> int:
        return ends.run_due()

    def transfer(self, department: str, credits: Decimal) -> None:
        with transactions.durable():
            transfers.move(department=self.departments[department], credits=credits, by=SYSTEM)

    # --- budgets

    def set_budget(self, scope: str, subject: str, period: str, credits: Decimal, *, is_hard: bool) -> None:
        named = Subject(
            department=self.departments[subject] if scope == "department" else None,
            user=self.users[subject] if scope == "member" else None,
            model=subject if scope == "model" else "",
        )
        with transactions.durable():
            budgets.create(
                organization=Organization.objects.get(pk=self.organization.pk),
                subject=named,
                period=period,
                credits=credits,
                is_hard=is_hard,
                by=SYSTEM,
            )

    def change_budget(self, place: int, credits: Decimal, *, is_hard: bool) -> None:
        with transactions.durable():
            budgets.change(budget=self._budget(place), credits=credits, is_hard=is_hard, by=SYSTEM)

    def archive_budget(self, place: int) -> None:
        with transactions.durable():
            budgets.archive(budget=self._budget(place), by=SYSTEM)

    def _budget(self, place: int) -> Budget:
        return budgets.live().filter(organization=self.organization)[place]

    # --- people

    def remove(self, who: str) -> None:
        with transactions.durable():
            memberships.remove(membership=self.memberships[who], by=SYSTEM, acting_as=Membership.Role.OWNER)

    def come_back(self, who: str, department: str) -> None:
        with transactions.durable():
            memberships.add(
                organization=self.organization,
                user=self.users[who],
                by=SYSTEM,
                acting_as=Membership.Role.OWNER,
                department=self.departments.get(department),
            )

    def move(self, who: str, department: str) -> None:
        with transactions.durable():
            memberships.move(
                membership=self.memberships[who], department=self.departments.get(department), by=SYSTEM
            )

    def archive(self, department: str) -> None:
        with transactions.durable():
            departments.archive(department=self.departments[department], by=SYSTEM)

    def revoke_key(self, who: str) -> None:
        with transactions.durable():
            keys.revoke(key=self.keys[who], by=SYSTEM)

    def suspend(self) -> None:
        with transactions.durable():
            organizations.suspend(organization=self.organization, reason="a story", by=SYSTEM)

    def resume(self) -> None:
        with transactions.durable():
            organizations.resume(organization=self.organization, by=SYSTEM)

    # --- grants

    def grant(self, source: str, reference: str, credits: Decimal, **terms: Any) -> None:
        with transactions.durable():
            grants.grant(
                organization=self.organization,
                source=source,
                credits=credits,
                reference=reference,
                by=SYSTEM,
                **terms,
            )

    def pay_fee(self, period: int, cents: int) -> None:
        start = BEGINNING + timedelta(microseconds=FIRST_PERIOD + period * PERIOD)
        with transactions.durable():
            subscriptions.fee_paid(
                subscription=self.subscription,
                plan=self.subscription.plan,
                period_start=start,
                period_end=start + timedelta(microseconds=PERIOD),
                amount_cents=cents,
                full_amount_cents=FULL_CENTS,
                currency="USD",
                reference=f"invoice {period}",
                by=SYSTEM,
            )

    def burn(self) -> None:
        with transactions.durable():
            burndown.announce(burndown.burn(organization_ids=[self.organization.pk]))

    def expire(self) -> Decimal:
        with transactions.durable():
            return expiries.expire(organization=self.organization)

    def withdraw(self, source: str, granted: str, credits: Decimal | None, *, reference: str) -> Withdrawal:
        with transactions.durable():
            return withdrawals.withdraw(
                organization=self.organization,
                grant_source=source,
                grant_reference=granted,
                credits=credits,
                reference=reference,
                reason="refunded",
                by=SYSTEM,
            )

    def forgive(self, place: int) -> None:
        with transactions.durable():
            forgiveness.forgive(charge_id=self.charges[place], reason="a good customer", by=SYSTEM)

    def set_overdraft(self, credits: Decimal) -> None:
        with transactions.durable():
            pools.set_overdraft(organization=self.organization, credits=credits, reason="a story", by=SYSTEM)

    # --- reading back

    def figures(self) -> dict[tuple[str, str], list[str]]:
        """Return every balance and status as PostgreSQL has it."""
        return {
            (kind, name): values
            for kind, name, values in self._rows(
                _FIGURES, o=self.organization.pk, b=int(BEGINNING.timestamp())
            )
        }

    def returned(self) -> list[Decimal]:
        """Return what came back to grants that were over, in the order of time and id."""
        anew = Grant.objects.filter(organization=self.organization, reference__startswith="reversal ")
        return list(anew.order_by("created_at", "pk").values_list("credits", flat=True))

    def violations(self) -> list[str]:
        """Prove every law, all in one statement: after every step that has to be cheap."""
        found = self._rows(_laws(), organization=self.organization.pk)
        return [f"{law}: {subject} should be {expected}, is {is_}" for law, subject, expected, is_ in found]

    def prove(self) -> list[str]:
        """Prove every law as `reconcile_credits` does."""
        return [str(one) for one in reconcile.prove(organization=self.organization)]

    def _rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(sql.encode(), parameters, prepare=True)
            return cursor.fetchall()

    def _command(self, asked: Spend, offset: int) -> PlaceHold | MakeCharge:
        common: dict[str, Any] = {
            "organization_id": self.organization.pk,
            "spender": self._spender(asked.by, asked.member),
            "transaction_id": asked.key,
            "cost": _cost(asked.cost),
            "service": "llm",
            "byok": asked.byok,
        }
        if asked.ttl is not None:
            return PlaceHold(ttl_seconds=asked.ttl, **common)
        if asked.happened is None:
            return MakeCharge(**common)
        occurred = BEGINNING + timedelta(seconds=offset - asked.happened)
        return MakeCharge(after_the_fact=True, occurred_at=occurred, **common)

    def _spender(self, by: str, member: str | None) -> Spender:
        user_id = self.users[member].pk if member is not None else None
        if by == GATEWAY:
            return Spender(made_by=GATEWAY, user_id=user_id)
        return Spender(made_by=self.keys[by].public_id, key_id=self.keys[by].pk, user_id=user_id)

    def _end(self, kind: Any, place: int, by: str, reach: str, **terms: Any) -> Outcome:
        organization = self.stranger if reach == "elsewhere" else self.organization
        return charging.settle_one(
            kind(
                hold_id=self.holds[place],
                spender=self._spender(by, None if by == GATEWAY else by),
                reach=Reach.ORGANIZATION if reach == "elsewhere" else Reach(reach),
                organization_id=None if reach == "any" else organization.pk,
                **terms,
            )
        )


def _cost(cost: Cost) -> costs.Cost:
    if cost.form == "credits":
        return costs.CreditsCost(cost.amount)
    if cost.form == "money":
        return costs.MoneyCost(cost.amount)
    return costs.TokensCost(cost.model, *cost.tokens)
