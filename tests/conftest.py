"""What all tests share: the rows that migrations make, and the laws of the ledger proved after every one of them."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.apps import apps
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
    if not uses_database:
        yield
        return
    request.getfixturevalue("_django_db_helper")  # torn down after this one, so the rows are still there
    _bring_back_migrated_rows()
    if request.node.get_closest_marker("breaks_the_ledger"):
        yield
        return
    yield
    if connection.needs_rollback or not _has_books():
        return
    from credits.ledger import reconcile

    broken = [str(one) for one in reconcile.prove_all()]
    if broken:
        pytest.fail("the laws of the ledger are broken:\n" + "\n".join(broken), pytrace=False)


def _bring_back_migrated_rows() -> None:
    """Make plans, prices and packages again, which emptying the database after a test with `transaction=True` took away."""
    from orgs.models import Plan

    if not Plan.objects.exists():
        import_module("orgs.migrations.0003_plans").add_plans(apps, None)
        import_module("credits.migrations.0003_starter_prices").add_prices(apps, None)
        import_module("lago_sync.migrations.0003_starter_packages").add_packages(apps, None)


def _has_books() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + " OR ".join(f"EXISTS (SELECT FROM {table})" for table in _LEDGER))
        return bool(cursor.fetchone()[0])
