"""The trace: a CSV of `TIMESTAMP,ContextTokens,GeneratedTokens`, one line a request."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


class BadTrace(ValueError):
    """The file is no trace; the message names the line."""


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of the trace."""

    number: int
    input_tokens: int
    output_tokens: int


def read(path: Path, *, limit: int | None = None) -> Iterator[TracedRequest]:
    """Yield the requests of a file in its order, the first `limit` where told; raises BadTrace."""
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise BadTrace(f"{path}: the first line must be {','.join(_COLUMNS)}")
        for number, row in enumerate(rows, start=1):
            if limit is not None and number > limit:
                return
            try:
                yield TracedRequest(number, int(row["ContextTokens"]), int(row["GeneratedTokens"]))
            except (TypeError, ValueError):
                raise BadTrace(f"{path}, line {number + 1}: tokens must be whole numbers") from None
