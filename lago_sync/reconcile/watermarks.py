"""How far each list of Lago's was read: newest first down to the watermark, a bounded number a run, and on from there."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from kit import transactions
from lago_sync.client import transport
from lago_sync.client.transport import Json
from lago_sync.models import Watermark
from lago_sync.reconcile.kinds.kind import Kind

PAGES: Final = 5
"""Of a list in one run; a list that is longer is read on by the next one."""


def read(kind: Kind, *, now: datetime, pages: int = PAGES) -> Iterator[list[Json]]:
    """Yield what is new in a list, page by page, and move the watermark once it was read down to it. Asks Lago.

    A row that moves to a later page while new ones come is seen twice, and none is left out. Raises LagoUnavailable,
    LagoRefused; then the watermark stays where it was.
    """
    mark = Watermark.objects.filter(name=kind.name).first() or Watermark(name=kind.name)
    if mark.page == 0:
        mark.began_at, mark.seen, mark.page = now, 0, 1
    rows = islice(kind.listed(mark.page), pages * transport.PER_PAGE)
    count, is_over = 0, False
    while chunk := list(islice(rows, transport.PER_PAGE)):
        fresh = [row for row in chunk if _is_fresh(kind, mark, row)]
        yield fresh
        count += len(chunk)
        mark.seen += len(fresh)
        if len(fresh) < len(chunk):
            is_over = True
            break
    _move(mark, now, pages=pages, is_over=is_over or count < pages * transport.PER_PAGE)


def begin_anew(kind: Kind) -> None:
    """Have the next run read the whole list."""
    with transactions.durable():
        Watermark.objects.filter(name=kind.name).update(through=None, page=0, began_at=None)


def _is_fresh(kind: Kind, mark: Watermark, row: Json) -> bool:
    if kind.overlap is None or mark.through is None:
        return True
    return kind.made_at(row) >= mark.through - kind.overlap


def _move(mark: Watermark, now: datetime, *, pages: int, is_over: bool) -> None:
    if is_over:
        mark.through, mark.ran_at, mark.page, mark.began_at = mark.began_at, now, 0, None
    else:
        mark.page += pages
    with transactions.durable():
        mark.save()
