"""Reconciling: proving the laws of product.md §5 from rows that were written apart from each other.

Every query returns violations as (what, expected, found); no rows means that the law holds. Nothing here mends anything:
`rebuilding` does, when somebody asks for it. Organizations are read a page at a time, and each is proved on a snapshot of
its own, so that neither memory nor the age of a snapshot grows with their number.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

import psycopg
from django.db import DatabaseError, connection

from credits.ledger import burndown, statements
from credits.models import Verification
from kit import transactions
from orgs.models import Organization

logger = logging.getLogger(__name__)

_LAWS: Final = Path(__file__).parent / "laws"
_PAGE: Final = 500
"""Organizations that are listed together."""
_MOST_KEPT: Final = 100
"""Violations that a `Verification` keeps as sentences; all are counted."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One organization's books at one moment: sound where there are no violations."""

    organization: str
    violations: list[Violation]


@cache
def laws() -> dict[str, str]:
    """Return the queries by the name of the law that each one proves."""
    return {path.stem.replace("_", " "): path.read_text() for path in sorted(_LAWS.glob("*.sql"))}


def burn(*, organization: Organization | None = None) -> None:
    """Assign to grants what was spent, as is done before proving: of one organization, or of all that spent lately.

    Opens transactions of its own. Where broken books refuse it, the log says so, and the proof says why.
    """
    try:
        if organization is None:
            burndown.burn_due()
        else:
            with transactions.durable():
                burndown.burn(organization_ids=[organization.pk])
    except DatabaseError:
        logger.exception("books.not_burned")


def prove(*, organization: Organization) -> list[Violation]:
    """Prove every law for one organization on one snapshot, so that traffic beside it gives no false alarm.

    Opens a transaction of its own; inside another one there is no snapshot to take, and Django raises RuntimeError.
    """
    with snapshot():
        return list(_violations(organization))


def proofs() -> Iterator[Proof]:
    """Prove every organization, one snapshot each, in the order of their keys.

    Books that the database cannot even read (a figure that is no number, a damaged page) are a violation of their own.
    """
    for organization in organizations():
        try:
            violations = prove(organization=organization)
        except DatabaseError as error:
            violations = [_unreadable(organization, error)]
        yield Proof(organization=organization.public_id, violations=violations)


def prove_all() -> Iterator[Violation]:
    """Prove every organization, and yield what is broken."""
    for proof in proofs():
        yield from proof.violations


def verify_all() -> Verification:
    """Burn, prove every organization and store what was found, at error level in the log where something is broken.

    The hourly job; call it outside of a transaction. Never raises for a broken law.
    """
    started_at = statements.clock()
    burn()
    found: list[str] = []
    proved = violations = 0
    for proof in proofs():
        proved += 1
        violations += len(proof.violations)
        found += map(str, islice(proof.violations, _MOST_KEPT - len(found)))
    if violations:
        logger.error("books.broken: %s violations, first %s", violations, found[0])
    return Verification.objects.create(
        started_at=started_at,
        finished_at=statements.clock(),
        organizations=proved,
        laws=len(laws()),
        violations=violations,
        found=found,
    )


def last() -> Verification | None:
    """Return the newest verification, None before the first."""
    return Verification.objects.order_by("-finished_at").first()


@contextmanager
def snapshot() -> Iterator[None]:
    """Open a transaction that reads one moment and writes nothing; raises RuntimeError inside another one."""
    with transactions.durable():
        _take_snapshot()
        yield


def organizations() -> Iterator[Organization]:
    """Yield every organization, a page at a time: no cursor stays open between two of them."""
    after = 0
    while page := list(Organization.objects.filter(pk__gt=after).order_by("pk")[:_PAGE]):
        yield from page
        after = page[-1].pk


def _violations(organization: Organization) -> Iterator[Violation]:
    """Run every law, prepared once a connection: planning one for a small organization takes longer than running it."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        for law, query in laws().items():
            cursor.execute(query, {"organization": organization.pk}, prepare=True)
            for subject, expected, found in cursor.fetchall():
                yield Violation(
                    law=law,
                    organization=organization.public_id,
                    subject=str(subject),
                    expected=str(expected),
                    found=str(found),
                )


def _unreadable(organization: Organization, error: DatabaseError) -> Violation:
    return Violation(
        law="books can be read",
        organization=organization.public_id,
        subject="its books",
        expected="readable",
        found=f"{type(error).__name__}: {error}".strip(),
    )


def _take_snapshot() -> None:
    """Read one moment for as long as it takes; a test's transaction, already under way, is a snapshot of its own."""
    if not _is_in_test():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")


def _is_in_test() -> bool:
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
