"""Lists in pages, with Lago's `meta`."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

PER_PAGE = 100  # no maximum, as in Lago's code


def page(
    request: HttpRequest, rows: "QuerySet[Any]", *, name: str, shape: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Return one page: an empty list says current_page 0 and total_pages 0."""
    number, size = _whole(request, "page", 1), _whole(request, "per_page", PER_PAGE)
    total = rows.count()
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


def _whole(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    return max(1, int(text)) if text.isdecimal() else default
