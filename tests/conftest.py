"""What all tests share: the laws of the ledger hold after every one of them."""

from collections.abc import Iterator

import pytest
from django.db import connection

_LEDGER = ("credits_creditpool", "credits_ledgerentry", "credits_usagerecord", "credits_hold")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "breaks_the_ledger(why): leaves the books wrong on purpose; they are not proved"
    )


@pytest.fixture(autouse=True)
def _laws_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prove the laws after every test that wrote to the ledger; `breaks_the_ledger("why")` lets a test break them."""
    uses_database = request.node.get_closest_marker("django_db") or {
        "db",
        "transactional_db",
    } & set(request.fixturenames)
    if not uses_database or request.node.get_closest_marker("breaks_the_ledger"):
        yield
        return
    request.getfixturevalue("_django_db_helper")  # torn down after this one, so the rows are still there
    yield
    if connection.needs_rollback or not _has_books():
        return
    from credits.ledger import reconcile

    broken = [str(one) for one in reconcile.prove_all()]
    if broken:
        pytest.fail("the laws of the ledger are broken:\n" + "\n".join(broken), pytrace=False)


def _has_books() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + " OR ".join(f"EXISTS (SELECT FROM {table})" for table in _LEDGER))
        return bool(cursor.fetchone()[0])
