"""What all tests share: the rows that migrations make, and the laws of the ledger proved after every one of them."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

_LEDGER = ("credits_creditpool", "credits_ledgerentry", "credits_usagerecord", "credits_hold")
_LONG = ("tests/stateful/", "tests/billing_portal/embedded/test_supervisor.py")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "breaks_the_ledger(why): leaves the books wrong on purpose; they are not proved"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that no worker ends alone with one of them."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


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
    from credits.ledger import reconcile
    from credits.limits import refusals
    from lago_sync.client import circuit
    from orgs.models import Organization

    request.getfixturevalue("_django_db_helper")  # torn down after this one, so the rows are still there
    _bring_back_migrated_rows()
    circuit.forget()  # what a test before asked of a Lago that was away
    yield
    refusals.forget()  # their rows go with the test, and at the end there is no database to write to
    if request.node.get_closest_marker("breaks_the_ledger"):
        return
    if connection.needs_rollback:
        return
    with_books = Organization.objects.filter(pk__in=_with_books())
    broken = [str(one) for each in with_books for one in reconcile.prove(organization=each)]
    if broken:
        pytest.fail("the laws of the ledger are broken:\n" + "\n".join(broken), pytrace=False)


def _bring_back_migrated_rows() -> None:
    """Make plans, prices and packages again, which emptying the database after a test with `transaction=True` took away."""
    from orgs.models import Plan

    if not Plan.objects.exists():
        import_module("orgs.migrations.0003_plans").add_plans(apps, None)
        import_module("credits.migrations.0003_starter_prices").add_prices(apps, None)
        import_module("lago_sync.migrations.0003_starter_packages").add_packages(apps, None)


def _with_books() -> list[int]:
    """Return the organizations that have rows in the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(" UNION ".join(f"SELECT organization_id FROM {table}" for table in _LEDGER))
        return [organization for (organization,) in cursor.fetchall()]
