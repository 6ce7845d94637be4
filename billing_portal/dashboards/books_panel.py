"""When the laws of the ledger were last proved, for a page: never, long ago, broken, or well."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from credits.ledger import reconcile

STALE_AFTER: Final = timedelta(hours=2)
"""The job runs each hour."""
SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksPanel:
    """`verified_at` is None before the first verification; `word` and `tone` say how things stand, in a badge."""

    verified_at: datetime | None
    word: str
    tone: str
    is_stale: bool
    organizations: int
    laws: int
    violations: int
    found: Sequence[str]


def build(*, now: datetime) -> BooksPanel:
    """Return the newest verification; nothing is proved while a page waits."""
    last = reconcile.last()
    if last is None:
        return BooksPanel(
            verified_at=None,
            word="Never verified",
            tone="warn",
            is_stale=False,
            organizations=0,
            laws=0,
            violations=0,
            found=(),
        )
    is_stale = now - last.finished_at > STALE_AFTER
    word, tone = ("Verified long ago", "warn") if is_stale else ("All laws hold", "ok")
    if last.violations:
        word, tone = "Violations", "bad"
    return BooksPanel(
        verified_at=last.finished_at,
        word=word,
        tone=tone,
        is_stale=is_stale,
        organizations=last.organizations,
        laws=last.laws,
        violations=last.violations,
        found=last.found,
    )
