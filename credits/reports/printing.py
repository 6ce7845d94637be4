"""The monthly report as a PDF file."""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.formats import date_format

from credits import amounts
from credits.reports import paper
from credits.reports.monthly import MonthlyReport, Used
from credits.reports.paper import Column, Paper

_MOST: Final = 60
"""Rows of one table: beyond them the CSV file has all."""
_USED: Final = (Column("Credits", 32), Column("Share", 22), Column("Requests", 26), Column("Before", 32))


def pdf(report: MonthlyReport) -> bytes:
    """Return the report as a PDF file of A4 pages."""
    zone = report.organization.time_zone
    made = date_format(report.made_at.astimezone(ZoneInfo(zone)), "j F Y, H:i")
    sheet = Paper(
        title=f"Credits of {report.of} in {_month(report)}",
        made=f"made {made} ({zone})",
        made_at=report.made_at,
    )
    _head(sheet, report)
    _statement(sheet, report)
    _chart(sheet, report)
    _pools(sheet, report)
    _used(sheet, "department", report.departments)
    _used(sheet, "member", report.members)
    _used(sheet, "model", report.models)
    _notes(sheet, report)
    return bytes(sheet.output())


def _head(sheet: Paper, report: MonthlyReport) -> None:
    sheet.say("Monthly report" if report.department is None else report.organization.name)
    sheet.say(report.of, size=20, color=paper.TEXT, style="B")
    sheet.ln(1)
    sheet.say(f"Credits in {_month(report)}{'' if report.is_over else ' · so far'}", size=11)
    sheet.ln(6)
    account = report.statement
    sheet.tiles(
        [
            ("Opening balance", paper.short(account.opening if account is not None else None)),
            ("Came in", paper.short(account.came if account is not None else None)),
            ("Used", paper.short(report.used)),
            ("Closing balance", paper.short(account.closing if account is not None else None)),
        ]
    )


def _statement(sheet: Paper, report: MonthlyReport) -> None:
    """Write the statement of account, the month before beside it."""
    sheet.title_of("Statement")
    if not report.lines:
        sheet.say("This department has no pool of its own; the organization's pool pays for it.")
        sheet.ln(6)
        return
    previous = date_format(report.month.previous.first, "F Y")
    columns = [Column("", 94, "L"), Column(_month(report), 40), Column(previous, 40)]
    rows = [(one.label, paper.whole(one.credits), paper.whole(one.before)) for one in report.lines]
    sheet.rows_of(columns, rows, strong=[at for at, one in enumerate(report.lines) if one.is_sum])


def _chart(sheet: Paper, report: MonthlyReport) -> None:
    if report.chart is not None:
        sheet.room(78)
        sheet.title_of("Credits a day, by " + ("department" if report.department is None else "model"))
        sheet.chart(report.chart)


def _pools(sheet: Paper, report: MonthlyReport) -> None:
    """Write the pools beside each other; each line adds up across."""
    if not report.pools:
        return
    heads = ("Opening", "Came in", "Went out", "Used", "Closing")
    rows = []
    for part in report.pools:
        account = part.statement
        figures = (account.opening, account.came, -account.went, -account.used, account.closing)
        rows.append((part.name, *(paper.short(figure) for figure in figures)))
    sheet.room(_height(len(rows)))
    sheet.title_of("Pools")
    sheet.rows_of([Column("Pool", 49, "L"), *(Column(head, 25) for head in heads)], rows)


def _used(sheet: Paper, what: str, lines: Sequence[Used]) -> None:
    """Write who or what used how much."""
    if not lines:
        return
    sheet.room(_height(len(lines)))
    sheet.title_of(f"By {what}")
    columns = [Column(what.capitalize(), 62, "L"), *_USED]
    rows = [
        (one.label, paper.short(one.credits), f"{one.share}%", f"{one.requests:,}", paper.short(one.before))
        for one in lines[:_MOST]
    ]
    sheet.rows_of(columns, rows)
    if len(lines) > _MOST:
        sheet.set_y(sheet.get_y() - 4)
        sheet.say(f"The {_MOST} largest of {len(lines):,}; the CSV file has all.", size=8)
        sheet.ln(4)


def _notes(sheet: Paper, report: MonthlyReport) -> None:
    """Write what a reader has to know about the figures."""
    sheet.room(24)
    zone = report.organization.time_zone
    sheet.say(
        f"A movement counts when it was booked, from midnight to midnight in {zone}; what is held for open requests is "
        "not used yet.",
        size=8,
    )
    if report.late:
        sheet.say(
            f"{amounts.display(report.late)} of the credits used are for calls of earlier months.", size=8
        )
    if report.department is not None:
        sheet.say(
            "The statement is of the department's pool and what it gave to members; use is what its members were "
            "charged, whoever paid.",
            size=8,
        )


def _height(rows: int) -> float:
    """Return what a table and its title need; of a long one, what may not be torn apart."""
    return 16 + 6.6 * min(rows, 8)


def _month(report: MonthlyReport) -> str:
    return date_format(report.month.first, "F Y")
