"""The monthly report as a CSV file: one flat table, whose rows say which part of the report they are of."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from credits import amounts
from credits.reports.monthly import MonthlyReport, Used
from kit import spreadsheets

_HEADS: Final = ("month", "part", "key", "name", "credits", "requests", "month_before")


def text(report: MonthlyReport) -> str:
    """Return the file. Amounts are whole; what leaves an account stands below 0."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(_HEADS)
    for row in _rows(report):
        writer.writerow([spreadsheets.harmless(cell) for cell in (str(report.month), *row)])
    return written.getvalue()


def name(report: MonthlyReport, ending: str) -> str:
    """Return what the file is called: the organization, the department's id where it is of one, and the month."""
    part = f"-{report.department.public_id}" if report.department is not None else ""
    return f"{report.organization.slug}{part}-{report.month}.{ending}"


def _rows(report: MonthlyReport) -> Iterator[Sequence[object]]:
    for line in report.lines:
        yield "statement", line.key, line.label, amounts.text(line.credits), "", amounts.text(line.before)
    for part in report.pools:
        account = part.statement
        for key, credits in (
            ("opening", account.opening),
            ("granted", account.granted),
            ("transferred_in", account.transferred_in),
            ("transferred_out", -account.transferred_out),
            ("moved", account.moved),
            ("used", -account.used),
            ("expired", -account.expired),
            ("withdrawn", -account.withdrawn),
            ("closing", account.closing),
        ):
            yield "pool", key, part.name, amounts.text(credits), "", ""
    yield from _used("department", report.departments)
    yield from _used("member", report.members)
    yield from _used("model", report.models)


def _used(part: str, lines: Sequence[Used]) -> Iterator[Sequence[object]]:
    for one in lines:
        yield part, one.key, one.label, amounts.text(one.credits), one.requests, amounts.text(one.before)
