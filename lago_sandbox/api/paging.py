"""Lists in pages, with Lago's `meta`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from lago_sandbox import clock

PER_PAGE = 100  # no maximum, as in Lago's code
KEPT_FOR = timedelta(minutes=30)
_counted: dict[tuple[str, str], tuple[int, datetime]] = {}


def page(
    request: HttpRequest,
    rows: "QuerySet[Any]",
    *,
    name: str,
    shape: Callable[[Any], dict[str, Any]],
    counts_seldom: bool = False,
) -> dict[str, Any]:
    """Return one page: an empty list says current_page 0 and total_pages 0.

    `counts_seldom`: the total may be 30 minutes old, except on the last page (B51).
    """
    number, size = _whole(request, "page", 1), _whole(request, "per_page", PER_PAGE)
    total = _stale_count(request, rows, number, size) if counts_seldom else rows.count()
    pages = -(-total // size)
    shown = rows[(number - 1) * size : number * size]
    return {
        name: [shape(row) for row in shown],
        "meta": {
            "current_page": number if total else 0,
            "next_page": number + 1 if number < pages else None,
            "prev_page": number - 1 if total and number > 1 else None,
            "total_pages": pages,
            "total_count": total,
        },
    }


def forget() -> None:
    """Count anew: after a reset."""
    _counted.clear()


def _stale_count(request: HttpRequest, rows: "QuerySet[Any]", number: int, size: int) -> int:
    asked = sorted(
        (key, tuple(values)) for key, values in request.GET.lists() if key not in ("page", "per_page")
    )
    key, now = (request.path_info, str(asked)), clock.now()
    total, until = _counted.get(key, (0, now))
    if until <= now or number * size >= total:
        total = rows.count()
        _counted[key] = (total, now + KEPT_FOR)
    return total


def _whole(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    return max(1, int(text)) if text.isdecimal() else default
