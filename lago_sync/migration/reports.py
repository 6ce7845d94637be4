"""What a migration or a list did, or would do: as a table for the terminal, and as JSON or CSV for a file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from credits import amounts
from kit import spreadsheets
from lago_sync.models import CustomerMigration

_WIDEST: Final = 90


def plain(row: CustomerMigration) -> dict[str, Any]:
    """Return a migration as JSON carries it."""
    return {
        "user_id": row.from_external_id,
        "org_id": row.organization_public_id,
        "org_name": row.organization_name,
        "status": row.status,
        "step": row.step,
        "plan_code": row.plan_code,
        "subscription": f"sub_{row.organization_public_id}" if row.facts.get("move") else "",
        "wallet_credits": amounts.text(row.wallet_credits),
        "wallet_cents": row.wallet_cents,
        "currency": row.currency,
        "error": row.last_error,
    }


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as a table of text with a line of names; long cells are cut, the last column is not."""
    cells = [list(columns), *([str(row.get(name, "")) for name in columns] for row in rows)]
    widths = [min(_WIDEST, max(len(line[number]) for line in cells)) for number in range(len(columns) - 1)]
    lines = []
    for line in cells:
        shown = [cell[:width].ljust(width) for cell, width in zip(line, widths, strict=False)]
        lines.append("  ".join([*shown, line[-1]]).rstrip())
    return "\n".join(lines)


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a report: CSV where the name says so, else JSON. Raises OSError."""
    found = list(rows)
    if path.suffix.lower() != ".csv":
        path.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")
        return
    names = list(dict.fromkeys(name for row in found for name in row))
    lines = [
        spreadsheets.line(names),
        *(spreadsheets.line(row.get(name, "") for name in names) for row in found),
    ]
    path.write_text("".join(lines), encoding="utf-8", newline="")
