"""Reports as CSV files: the same figures as on screen, and no cell that a spreadsheet would run."""

import csv
from collections.abc import Iterable, Sequence
from typing import Final

from django.http import HttpResponse

from credits import amounts
from credits.models import UsageRecord
from credits.reports.usage import UsageReport
from kit.spreadsheets import harmless

_USAGE: Final = ("key", "label", "credits", "requests", "tokens", "share", "previous_credits")
_RECORDS: Final = (
    "id", "kind", "occurred_at", "user", "service", "provider", "model", "input_tokens", "output_tokens", "credits",
    "shortfall", "byok", "late", "unpriced", "corrects", "transaction_id", "reason",
)  # fmt: skip


def usage(report: UsageReport) -> HttpResponse:
    """Return a usage report, a line a group."""
    rows = (
        (
            row.key,
            row.label,
            amounts.text(row.credits),
            row.requests,
            row.tokens,
            row.share,
            amounts.text(row.previous_credits),
        )
        for row in report.rows
    )
    return _file("usage.csv", _USAGE, rows)


def records(found: Iterable[UsageRecord]) -> HttpResponse:
    """Return usage records, a line each; what a reversal gave back stands as it does in the records, above zero."""
    return _file("usage-records.csv", _RECORDS, (_record(one) for one in found))


def _record(row: UsageRecord) -> Sequence[object]:
    return (
        row.pk,
        row.kind,
        row.occurred_at.isoformat(),
        row.user.name or str(row.user) if row.user is not None else "",
        row.service,
        row.provider,
        row.model,
        row.input_tokens,
        row.output_tokens,
        amounts.text(row.credits),
        amounts.text(row.shortfall),
        row.byok,
        row.late,
        row.unpriced,
        row.corrects or "",
        row.transaction_id,
        row.reason,
    )


def _file(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(heads)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
    return response
