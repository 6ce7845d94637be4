"""The ledger's clock in queries: `portal_clock()`, the wall at this moment. Not for: reports, which are told `now`."""

from datetime import datetime

from django.db import connection
from django.db.models import DateTimeField, Func


class LedgerClock(Func):
    """`portal_clock()` in a query; a wait for a lock does not make it old, as it does the transaction's `now()`."""

    function = "portal_clock"
    output_field = DateTimeField()


def read() -> datetime:
    """Return what the ledger's clock says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT portal_clock()")
        row = cursor.fetchone()
    at: datetime = row[0]
    return at
