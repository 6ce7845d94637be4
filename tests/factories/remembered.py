"""Rows that many tests begin with: made once through the verbs, then put back as they were, in a few statements.

A test's transaction takes its rows away; making 250 statements' worth of them again for each test costs more than the test.
"""

import copy
from collections.abc import Callable
from graphlib import TopologicalSorter
from typing import Any, Generic, TypeVar

from django.db import connection

_Made = TypeVar("_Made")

_COLUMNS = """
SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns WHERE table_schema = current_schema() AND is_generated = 'NEVER' GROUP BY 1
"""
_STRICT_KEYS = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND NOT condeferrable AND conrelid <> confrelid
"""


class Remembered(Generic[_Made]):
    """What `make` made, and the rows that it wrote. Each `get` gives a copy of the first with its rows in the database."""

    def __init__(self, make: Callable[[], _Made]) -> None:
        self._make = make
        self._made: _Made | None = None
        self._rows: dict[str, list[str]] = {}
        self._ground: dict[str, set[str]] = {}
        self._columns: dict[str, str] = {}

    def get(self) -> _Made:
        ground = _rows()
        if self._made is None or ground != self._ground:
            self._ground, self._made = ground, self._make()
            now = _rows()
            self._rows = {name: sorted(now[name] - ground[name]) for name in _in_order(now)}
            with connection.cursor() as cursor:
                cursor.execute(_COLUMNS)
                self._columns = dict(cursor.fetchall())
        else:
            self._put_back()
        return copy.deepcopy(self._made)

    def _put_back(self) -> None:
        with connection.cursor() as cursor:
            for table, rows in self._rows.items():
                if rows:
                    names = self._columns[table]
                    cursor.execute(
                        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE "
                        f"SELECT {names} FROM json_populate_recordset(NULL::{table}, %s::json)",
                        [f"[{','.join(rows)}]"],
                    )


def _rows() -> dict[str, set[str]]:
    """Return the rows of every table as JSON."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{one}', to_jsonb(t)::text FROM {one} t" for one in tables)
        )
        found: dict[str, set[str]] = {one: set() for one in tables}
        for table, row in cursor.fetchall():
            found[table].add(row)
    return found


def _in_order(tables: dict[str, Any]) -> list[str]:
    """Return tables so that each stands after those that its foreign keys ask for at once."""
    with connection.cursor() as cursor:
        cursor.execute(_STRICT_KEYS)
        needs: dict[str, set[str]] = {one: set() for one in tables}
        for table, needed in cursor.fetchall():
            needs[table].add(needed)
    return list(TopologicalSorter(needs).static_order())
