"""Sharing out, in the model: allocations, transfers, and members that come, move and go (product.md §7)."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal

from tests.stateful import resets
from tests.stateful.books import ZERO, Books, Member, Pool, Refused, Share


@dataclass(frozen=True)
class Terms:
    """How often an amount is restored, and when it ends; None leaves what there is, 0 is never."""

    period: str | None = None
    expires_at: int | None = None


KEPT = Terms()


def allocate(books: Books, shares: Sequence[tuple[str, Decimal, str]], terms: Terms = KEPT) -> None:
    """Give each member (name, credits, `set` or `add`), in order, all or none."""
    now = books.tick()
    if any(not books.members[name].is_live for name, _, _ in shares):
        raise Refused("not_found")
    kept = deepcopy((books.pools, books.shares, books.resets))
    try:
        pools = {_source(books, name) for name, _, _ in shares}
        pools |= {books.shares[name].pool for name, _, _ in shares if name in books.shares}
        resets.end(books, pools)
        resets.restore(books, pools)
        for share in shares:
            _give(books, *share, terms, now)
    except Refused:
        books.pools, books.shares, books.resets = kept
        raise
    books.settle_debts()


def _source(books: Books, name: str) -> str:
    department = books.members[name].department
    return department if department in books.pools else ""


def _give(books: Books, name: str, credits: Decimal, mode: str, terms: Terms, now: int) -> None:
    source = _source(books, name)
    share = books.shares.setdefault(name, Share(source, now, now))
    if mode == "add" and not credits and share.closed_at is None:
        source = share.pool
    kept = ZERO
    if share.closed_at is not None or share.pool != source:
        kept = _begin(books, share, source, now)
    if terms.period is not None:
        resets.set_period(books, share, terms.period, now)
    if terms.expires_at is not None:
        share.expires_at = terms.expires_at or None
    more = credits + kept if mode == "add" else credits - share.allocated
    if more > max(books.pools[source].available, ZERO):
        raise Refused("insufficient_credits")
    if -more > share.remaining:
        raise Refused("allocation_in_use")
    books.pools[source].available -= more
    share.remaining += more
    share.amount = credits + (share.amount if mode == "add" else ZERO)


def _begin(books: Books, share: Share, source: str, now: int) -> Decimal:
    """Let it begin anew; return what the pool that it came from gets back: what it has, and what is held of it."""
    origin = "" if books.pools[share.pool].is_archived else share.pool
    back = share.remaining + (share.held if origin != source else ZERO)
    share.amount = share.remaining + share.held
    books.pools[origin].available += back
    share.remaining -= back
    if share.closed_at is not None:
        share.closed_at, share.expires_at, share.is_limited = None, None, True
    share.opened_at, share.pool, share.used = now, source, ZERO
    return back


def revoke(books: Books, name: str, *, limited: bool) -> None:
    """Close an allocation and return what is unspent; unless `limited`, let its member spend from a pool again."""
    books.tick()
    if name not in books.shares:
        raise Refused("not_found")
    _close(books, books.shares[name])
    books.shares[name].is_limited = limited
    books.settle_debts()


def transfer(books: Books, department: str, credits: Decimal) -> None:
    """Fund a department from the organization's pool; a negative amount returns credits."""
    books.tick()
    theirs = books.pools.get(department, Pool())
    own = books.pools[""]
    if (own if credits > 0 else theirs).available < abs(credits):
        raise Refused("insufficient_credits")
    books.pools[department] = theirs
    own.available -= credits
    theirs.available += credits
    books.settle_debts()


def remove(books: Books, name: str) -> None:
    """End a membership: its key stops, what is unspent returns."""
    books.tick()
    member = books.members[name]
    if not member.is_live:
        raise Refused("not_found")
    member.is_live = member.has_key = False
    _return_all(books, [name])


def come_back(books: Books, name: str, department: str) -> None:
    """Make somebody a member again; the allocation they had is still a limit of 0."""
    books.tick()
    if books.members[name].is_live:
        raise Refused("already_exists")
    books.members[name] = Member(department, has_key=False)


def move(books: Books, name: str, department: str) -> None:
    """Put a member into a department (`""` is none); what is unspent returns to where it came from."""
    books.tick()
    member = books.members[name]
    if not member.is_live or department in books.archived:
        raise Refused("not_found")
    if member.department != department:
        member.department = department
        _return_all(books, [name])


def archive(books: Books, department: str) -> None:
    """Close a department: its members are in none, what they and its pool have left returns."""
    books.tick()
    if department in books.archived:
        raise Refused("not_found")
    books.archived.add(department)
    inside = [name for name, one in books.members.items() if one.department == department]
    for name in inside:
        books.members[name].department = ""
    _return_all(books, inside)
    pool = books.pools.get(department)
    if pool is not None:
        pool.is_archived = True
        books.pools[""].available += pool.available
        pool.available = ZERO
    books.settle_debts()


def _return_all(books: Books, names: Sequence[str]) -> None:
    for name in names:
        share = books.shares.get(name)
        if share is not None and share.closed_at is None:
            _close(books, share)
            share.is_limited = True
    books.settle_debts()


def _close(books: Books, share: Share) -> None:
    books.pools[share.pool].available += share.remaining
    share.remaining = ZERO
    share.expires_at = None
    resets.set_period(books, share, "never", books.now)
    if share.closed_at is None:
        share.closed_at = books.now
