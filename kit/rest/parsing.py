"""The one JSON parser of the API: strict where Python's and DRF's defaults let through what must not reach a ledger.

Refused: duplicate keys (last would win), NaN and Infinity (1e400 too), NUL and lone surrogates (PostgreSQL's jsonb
cannot store them), nesting beyond 16 levels, bodies above the view's limit, anything but UTF-8.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from kit.errors import DomainError, InvalidRequest

BODY_LIMIT: Final = 1024 * 1024
_DEEPEST: Final = 16
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A JSON string, or the rest of the text where it has no end: it never fails, so it never looks back (linear time)."""
_BRACKET: Final = re.compile(r"[\[\]{}]")


class TooLarge(DomainError):
    """The body is larger than this operation takes."""

    code = "too_large"
    status = 413


class StrictJSONParser(BaseParser):
    """Parse a JSON object; the view may raise `body_limit` (bytes) above 1 MiB."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        limit = getattr((parser_context or {}).get("view"), "body_limit", BODY_LIMIT)
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"The body may have at most {limit} bytes.", limit=limit)
        return loads(raw)


def body_of(request: Request) -> dict[str, Any]:
    """Return the body of a request as the object it is; nothing sent is an empty one."""
    found = request.data
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return found


def loads(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in `raw`; raises InvalidRequest (400) that says what is wrong with it."""
    try:
        text = raw.decode("utf-8")
        _check_nesting(text)
        parsed = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidRequest("The body must be a JSON object.")
    if "\\u" in text:
        _check_characters(parsed)
    elif "\x00" in text:
        raise InvalidRequest("Text may not contain NUL.")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    """Return the number, unless it is so great that it would become Infinity, which jsonb cannot store."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is beyond any number")
    return number


def _check_nesting(text: str) -> None:
    """Refuse deep nesting before parsing: brackets outside of strings are counted, without building anything."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _check_characters(value: object) -> None:
    """Refuse NUL and lone surrogates, which only JSON's escapes can bring in."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidRequest("Text may not contain NUL or half of a surrogate pair.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_characters(name)
            _check_characters(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner)
