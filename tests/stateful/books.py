"""The ledger in plain Python: what product.md §5-§7 say of one organization, without Django, SQL or locks.

Times are whole microseconds of the ledger's clock; two events never have the same one. `""` names the organization's own
pool, other names its departments'. A rule that refuses raises `Refused` with the code of contract.md §4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

BEGINNING: Final = datetime(2027, 2, 26, 15, tzinfo=UTC)
"""Where every story begins: a few days before a month ends."""
ZERO: Final = Decimal(0)
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
SHORTFALL_LIMIT: Final = Decimal(1000)

Ref = tuple[str, str]
"""(`pool` or `share`, name)."""


class Refused(Exception):
    """A rule says no; nothing has moved. `tried` and the holds at `places` are what bit."""

    def __init__(self, code: str, tried: Sequence[Ref] = (), places: Sequence[int] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.tried = tried
        self.places = places


@dataclass(frozen=True)
class By:
    """Whose use it is, on which model."""

    member: str | None
    department: str
    model: str


@dataclass
class Pool:
    available: Decimal = ZERO
    held: Decimal = ZERO
    spent: Decimal = ZERO
    overdraft: Decimal = ZERO
    is_archived: bool = False


@dataclass
class Share:
    """A member's allocation."""

    pool: str
    opened_at: int
    closed_at: int | None
    remaining: Decimal = ZERO
    held: Decimal = ZERO
    used: Decimal = ZERO
    spent: Decimal = ZERO
    amount: Decimal = ZERO
    is_limited: bool = True
    period: str = "never"
    anchor: date | None = None
    resets_at: int | None = None
    expires_at: int | None = None

    @property
    def allocated(self) -> Decimal:
        return self.used + self.held + self.remaining


@dataclass
class Member:
    department: str = ""
    is_live: bool = True
    has_key: bool = True


@dataclass
class Hold:
    member: str | None
    whose: By
    by: str
    payer: Ref | None
    credits: Decimal
    model: str
    byok: bool
    day: date
    counts: bool
    expires_at: int
    status: str = "active"
    captured_with: object = None
    charge: int | None = None


@dataclass
class Charge:
    whose: By
    payer: Ref | None
    cost: Decimal
    credits: Decimal
    made_at: int
    pool: str = ""
    """Where the credits of the allocation that paid had come from then."""
    late: bool = False
    unpriced: bool = False
    settled: Decimal = ZERO
    """What later came from the organization's pool for its shortfall."""
    forgiven: Decimal = ZERO
    """What staff let go of its shortfall."""
    cancelled: Decimal = ZERO
    """What its reversal took off its shortfall."""
    reversed: Decimal | None = None

    @property
    def shortfall(self) -> Decimal:
        return self.cost - self.credits

    @property
    def owed(self) -> Decimal:
        return self.shortfall - self.settled - self.forgiven - self.cancelled


@dataclass(frozen=True)
class Use:
    """Credits that were taken for somebody on a day; below zero where they came back."""

    day: date
    by: By
    credits: Decimal


@dataclass
class Budget:
    scope: str
    subject: str
    period: str
    credits: Decimal
    is_hard: bool
    since: date

    @property
    def key(self) -> tuple[str, str, str, bool]:
        return self.scope, self.subject, self.period, self.is_hard


@dataclass
class Grant:
    source: str
    credits: Decimal
    priority: int
    made_at: int
    expires_at: int | None
    consumed: Decimal = ZERO
    expired: Decimal = ZERO
    withdrawn: Decimal = ZERO
    tie: int = 0

    @property
    def left(self) -> Decimal:
        return self.credits - self.consumed - self.expired - self.withdrawn


@dataclass
class Books:
    """Everything that is known of the organization."""

    shared_spending: str = "without_allocation"
    daily_calls: int | None = None
    monthly_calls: int | None = None
    markup_percent: Decimal = ZERO
    is_suspended: bool = False
    offset: int = 0
    """Seconds by which the clock was moved since the beginning."""
    ticks: int = 0
    pools: dict[str, Pool] = field(default_factory=lambda: {"": Pool()})
    shares: dict[str, Share] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    keys: dict[str, tuple[str, object, int]] = field(default_factory=dict)
    """transaction id: (hold or charge, content, its place)."""
    quotas: dict[tuple[str, date], int] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    grants: dict[tuple[str, str], Grant] = field(default_factory=dict)
    """By source and reference."""
    withdrawals: dict[str, tuple[tuple[tuple[str, str], Decimal], Decimal]] = field(default_factory=dict)
    """reference: ((grant, what was asked), what left)."""
    fees: dict[int, int] = field(default_factory=dict)
    """Cents that were paid for a period of the plan."""
    archived: set[str] = field(default_factory=set)
    resets: dict[tuple[str, int], list[Decimal]] = field(default_factory=dict)
    """Member and date: (used, held, remaining, given, taken back, missing)."""

    def tick(self) -> int:
        """Let a moment pass and return the time."""
        self.ticks += 1
        return self.now

    @property
    def now(self) -> int:
        return self.offset * SECOND + self.ticks

    def day(self, at: int) -> date:
        return (BEGINNING + timedelta(microseconds=at)).date()

    def use(self, by: By, credits: Decimal, *, ago: int = 0) -> None:
        """Note what was taken for a call, which happened so many seconds ago."""
        self.uses.append(Use(self.day(self.now - ago * SECOND), by, credits))

    @property
    def owed(self) -> Decimal:
        return sum((one.owed for one in self.charges), ZERO)

    def pool_of(self, payer: Ref | None) -> str:
        """Return the pool that an allocation's credits come from now; a pool's own name where one pays."""
        if payer is None:
            return ""
        kind, name = payer
        return self.shares[name].pool if kind == "share" else name

    def row(self, payer: Ref) -> Pool | Share:
        kind, name = payer
        return self.pools[name] if kind == "pool" else self.shares[name]

    def rows(self) -> list[Pool | Share]:
        """Return all that pays."""
        return [*self.pools.values(), *self.shares.values()]

    def free(self, payer: Ref) -> Decimal:
        row = self.row(payer)
        return row.available if isinstance(row, Pool) else row.remaining

    def add(self, payer: Ref, credits: Decimal) -> None:
        row = self.row(payer)
        if isinstance(row, Pool):
            row.available += credits
        else:
            row.remaining += credits

    def take(self, payer: Ref, cost: Decimal) -> Decimal:
        """Take what the payer can give of a cost that has happened: what is free, and a pool's overdraft beyond it."""
        row = self.row(payer)
        overdraft = row.overdraft if isinstance(row, Pool) else ZERO
        taken = min(cost, max(self.free(payer) + overdraft, ZERO))
        self.spend(payer, taken)
        return taken

    def spend(self, payer: Ref, credits: Decimal) -> None:
        self.add(payer, -credits)
        row = self.row(payer)
        row.spent += credits
        if isinstance(row, Share):
            row.used += credits

    def pass_on(self, payer: Ref | None) -> None:
        """Let a closed allocation keep nothing, nor the pool of an archived department."""
        if payer is None:
            return
        row = self.row(payer)
        if isinstance(row, Share) and row.closed_at is not None:
            self.pools[row.pool].available += row.remaining
            row.remaining = ZERO
        pool = self.pools[row.pool] if isinstance(row, Share) else row
        if pool.is_archived:
            self.pools[""].available += pool.available
            pool.available = ZERO

    def settle_debts(self) -> None:
        """Charge what is owed to the organization's pool as soon as that has credits, oldest first."""
        pool = self.pools[""]
        for charge in self.charges:
            if pool.available <= 0:
                return
            part = min(charge.owed, pool.available)
            pool.available -= part
            pool.spent += part
            charge.settled += part
            self.use(charge.whose, part)

    def payers(self, name: str | None) -> list[Ref]:
        """Return who pays for a member (None: for the organization itself), in the order in which they are tried."""
        own: Ref = ("pool", "")
        if name is None:
            return [own]
        department = self.members[name].department
        pools = [("pool", department), own] if department and department in self.pools else [own]
        share = self.shares.get(name)
        if share is not None and share.is_limited:
            if share.closed_at is not None or (share.expires_at is not None and share.expires_at <= self.now):
                return []
            return [("share", name), *pools] if self.shared_spending == "always" else [("share", name)]
        return {"never": [], "without_allocation": pools[:1], "always": pools}[self.shared_spending]
