"""Lists of the API: pages by limit and offset, pages by cursor, and query parameters that cannot reach SQL malformed."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from kit.errors import ValidationError

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 100
_LARGEST_OFFSET: Final = 1_000_000
_LONGEST_CURSOR: Final = 512

PAGE_PARAMETERS: Final = (
    OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT}, {DEFAULT_LIMIT} unless told"),
    OpenApiParameter("offset", int, description="how many to skip"),
)
CURSOR_PARAMETERS: Final = (
    OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT}, {DEFAULT_LIMIT} unless told"),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
)

_Row = TypeVar("_Row", bound=Model)
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list was asked for."""

    limit: int
    offset: int


def page_of(request: Request) -> Page:
    """Return what `limit` and `offset` ask for; raises ValidationError (422) for anything but sensible numbers."""
    return Page(limit_of(request), whole(request, "offset", default=0, least=0, most=_LARGEST_OFFSET))


def limit_of(request: Request) -> int:
    """Return `limit`; raises ValidationError (422)."""
    return whole(request, "limit", default=DEFAULT_LIMIT, least=1, most=LARGEST_LIMIT)


def paged(request: Request, rows: QuerySet[_Row], show: Callable[[_Row], Any]) -> dict[str, Any]:
    """Return one page of an ordered queryset, each row as `show` gives it."""
    page = page_of(request)
    found = rows[page.offset : page.offset + page.limit]
    return answer([show(row) for row in found], page=page, total=rows.count())


def answer(data: Sequence[Any], *, page: Page, total: int) -> dict[str, Any]:
    """Return the one shape of a counted list."""
    return {
        "data": list(data),
        "pagination": {
            "total": total,
            "limit": page.limit,
            "offset": page.offset,
            "has_more": page.offset + len(data) < total,
        },
    }


def cursor_answer(
    rows: Sequence[_Item], *, limit: int, key: Callable[[_Item], Any], show: Callable[[_Item], Any]
) -> dict[str, Any]:
    """Return the one shape of a list that goes on by cursor.

    Ask the database for `limit + 1` rows beyond the cursor: the one too many says that there is more. `key` is what the
    next page starts beyond, anything that JSON can carry.
    """
    shown = rows[:limit]
    more = encode_cursor(key(shown[-1])) if len(rows) > limit else None
    return {"data": [show(row) for row in shown], "pagination": {"next_cursor": more, "limit": limit}}


def encode_cursor(key: Any) -> str:
    """Return an opaque text for the key of a page's last row."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def cursor_of(request: Request, kind: type[_Item]) -> _Item | None:
    """Return the key that `cursor` carries, None for the first page; raises ValidationError (422) for a made-up one."""
    given = request.query_params.get("cursor", "")
    if not given:
        return None
    try:
        if len(given) > _LONGEST_CURSOR:
            raise ValueError(given)
        key = json.loads(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise ValidationError(cursor="This is no cursor of this list.") from None
    if type(key) is not kind or (isinstance(key, int) and not 0 <= key < 1 << 63):
        raise ValidationError(cursor="This is no cursor of this list.")
    return key


def whole(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number of the query; raises ValidationError (422) outside `least` to `most`."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if (
        given.isascii()
        and given.removeprefix("-").isdigit()
        and len(given) < 12
        and least <= int(given) <= most
    ):
        return int(given)
    raise ValidationError(**{name: f"A whole number from {least} to {most} is expected."})


def text(request: Request, name: str, *, longest: int = 200) -> str:
    """Return a text of the query, "" where it is not given; raises ValidationError (422) for what SQL cannot hold."""
    given = request.query_params.get(name, "")
    if len(given) > longest:
        raise ValidationError(**{name: f"At most {longest} characters are expected."})
    if "\x00" in given or any("\ud800" <= character <= "\udfff" for character in given):
        raise ValidationError(**{name: "NUL and halves of surrogate pairs are no text."})
    return given


def day(request: Request, name: str) -> date | None:
    """Return a date of the query, None where it is not given; raises ValidationError (422) for what is none of this age."""
    given = text(request, name, longest=10)
    if not given:
        return None
    try:
        found = date.fromisoformat(given)
    except ValueError:
        found = date.min
    if not date(2000, 1, 1) <= found <= date(2200, 1, 1):
        raise ValidationError(**{name: "must be a date such as 2027-01-31"})
    return found


def choice(request: Request, name: str, *, of: Sequence[str], default: str = "") -> str:
    """Return one of the given words; raises ValidationError (422) for another."""
    given = request.query_params.get(name, default)
    if given != default and given not in of:
        raise ValidationError(**{name: f"One of {', '.join(of)} is expected."})
    return given
