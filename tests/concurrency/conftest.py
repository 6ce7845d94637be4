"""What the races share: committed data with plans in place, and the count of deadlocks before and after."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from credits.pricing import table


@pytest.fixture(autouse=True)
def _fresh_prices() -> Iterator[None]:
    table.forget()
    yield
    table.forget()


@pytest.fixture
def deadlocks() -> Callable[[], int]:
    """Return a function that tells how many deadlocks PostgreSQL has broken since the test began."""

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
            cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    before = count()
    return lambda: count() - before
