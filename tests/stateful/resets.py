"""Periods of allocations, in the model: whoever meets a date that is past runs the reset first (product.md §7)."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from tests.stateful.books import BEGINNING, ZERO, Books, Share


def set_period(books: Books, share: Share, period: str, now: int) -> None:
    """Begin to count periods from today, or stop."""
    if period == share.period:
        return
    share.period, share.anchor, share.resets_at = period, None, None
    if period != "never":
        share.anchor = books.day(now)
        share.resets_at = _around(share, now)[1]


def catch_up(books: Books, name: str | None, *, ends_hold: bool = False) -> None:
    """Bring the pool of a member's allocation up to date, where a request of theirs finds it behind."""
    share = books.shares.get(name or "")
    if share is None or share.closed_at is not None:
        return
    if ends_hold if has_expired(books, share) else is_due(books, share):
        bring_up_to_date(books, share.pool)


def bring_up_to_date(books: Books, pool: str) -> None:
    """End what is over of one pool, pay debts from it, and reset what is due."""
    end(books, [pool])
    books.settle_debts()
    restore(books, [pool])
    books.settle_debts()


def look(books: Books) -> None:
    """Bring everything up to date."""
    books.tick()
    for pool in books.pools:
        bring_up_to_date(books, pool)


def reset_due(books: Books) -> int:
    """The job that resets; returns how many."""
    books.tick()
    made = restore(books, books.pools)
    books.settle_debts()
    return made


def expire_due(books: Books) -> int:
    """The job that ends what is over; returns how many."""
    books.tick()
    ended = end(books, books.pools)
    books.settle_debts()
    return ended


def end(books: Books, pools: Collection[str]) -> int:
    """Close what is over of these pools; what is unspent returns."""
    over = [one for one in books.shares.values() if one.pool in pools and has_expired(books, one)]
    for share in over:
        books.pools[share.pool].available += share.remaining
        share.remaining = ZERO
        share.closed_at = books.now
        set_period(books, share, "never", books.now)
    return len(over)


def restore(books: Books, pools: Collection[str]) -> int:
    """Reset what is due of these pools, first come first served."""
    due = {name: one for name, one in books.shares.items() if one.pool in pools and is_due(books, one)}
    for name, share in due.items():
        pool = books.pools[share.pool]
        began, ends = _around(share, books.now)
        before = [share.used, share.held, share.remaining]
        wanted = share.amount - share.remaining - share.held
        given = min(wanted, max(pool.available, ZERO))
        pool.available -= given
        share.remaining += given
        books.resets[name, began] = [*before, max(given, ZERO), max(-given, ZERO), max(wanted - given, ZERO)]
        share.used, share.opened_at, share.resets_at = ZERO, began, ends
    return len(due)


def is_due(books: Books, share: Share) -> bool:
    return share.resets_at is not None and share.resets_at <= books.now and not has_expired(books, share)


def has_expired(books: Books, share: Share) -> bool:
    return share.closed_at is None and share.expires_at is not None and share.expires_at <= books.now


def _around(share: Share, now: int) -> tuple[int, int]:
    """Return the period that `now` lies in, counted one after the other from the first."""
    n = 0
    while _begins(share, n + 1) <= now:
        n += 1
    return _begins(share, n), _begins(share, n + 1)


def _begins(share: Share, n: int) -> int:
    assert share.anchor is not None
    if share.period == "monthly":
        day = _months_later(share.anchor, n)
    else:
        day = share.anchor + timedelta(days=n if share.period == "daily" else 7 * n)
    return (datetime.combine(day, time.min, UTC) - BEGINNING) // timedelta(microseconds=1)


def _months_later(anchor: date, n: int) -> date:
    """Return the anchor's day n months later, or the last day there is."""
    months = anchor.month - 1 + n
    for day in range(anchor.day, 0, -1):
        try:
            return date(anchor.year + months // 12, months % 12 + 1, day)
        except ValueError:
            continue
    raise AssertionError
