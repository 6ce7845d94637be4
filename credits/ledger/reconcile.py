"""Reconciling: proving the laws of product.md §5 from rows that were written apart from each other.

Every query returns violations as (what, expected, found); no rows means that the law holds. Nothing here mends anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import connection, transaction

from orgs.models import Organization

_LAWS: Final = Path(__file__).parent / "laws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken law: which, whose, on which row, and the two figures that should be one."""

    law: str
    organization: str
    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.organization}: {self.law}: {self.subject} should be {self.expected}, is {self.found}"


def laws() -> dict[str, str]:
    """Return the queries by the name of the law that each one proves."""
    return {path.stem.replace("_", " "): path.read_text() for path in sorted(_LAWS.glob("*.sql"))}


def prove(*, organization: Organization) -> list[Violation]:
    """Prove every law for one organization on one snapshot, so that traffic beside it gives no false alarm."""
    with transaction.atomic():
        _take_snapshot()
        return list(_violations(organization))


def prove_all() -> Iterator[Violation]:
    """Prove every organization, one snapshot each."""
    for organization in Organization.objects.order_by("pk").iterator():
        yield from prove(organization=organization)


def _violations(organization: Organization) -> Iterator[Violation]:
    with connection.cursor() as cursor:
        for law, query in laws().items():
            cursor.execute(query, {"organization": organization.pk})
            for subject, expected, found in cursor.fetchall():
                yield Violation(
                    law=law,
                    organization=organization.public_id,
                    subject=str(subject),
                    expected=str(expected),
                    found=str(found),
                )


def _take_snapshot() -> None:
    """Read one moment for as long as it takes; a test's transaction, already under way, is a snapshot of its own."""
    if len(connection.savepoint_ids) == 0 and not _has_begun():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")


def _has_begun() -> bool:
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
