"""Rows by COPY: many at once, as PostgreSQL reads them from text (PostgreSQL manual, COPY, «Text Format»)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from django.db import connection

NULL: Final = r"\N"
_BLOCK: Final = 2_000
"""Lines that are handed on together: a block is less than a megabyte."""


def copy(table: str, columns: str, lines: Iterable[str]) -> int:
    """Write the lines (tab-separated values, each ended by a newline) and return how many rows they were."""
    written = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as into:
        for block in _blocks(lines):
            into.write("".join(block))
            written += len(block)
    return written


def line(*values: object) -> str:
    """Return one row; None is NULL. Values must not hold tabs, newlines or backslashes: these are ours, not people's."""
    return "\t".join(NULL if value is None else str(value) for value in values) + "\n"


def keys(table: str, count: int) -> list[int]:
    """Take primary keys from the table's sequence, beside whoever else takes some."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
        )
        return [key for (key,) in cursor.fetchall()]


def amount(micro: int) -> str:
    """Return millionths of a credit as the column reads them."""
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    each = iter(lines)
    while block := list(islice(each, _BLOCK)):
        yield block
