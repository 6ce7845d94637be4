"""Reading fields of a body, with Lago's codes for what is wrong."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from lago_sandbox import clock
from lago_sandbox.errors import Invalid

_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


class Problems:
    """The 422 in the making: codes by field."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, field: str, *codes: str) -> None:
        self.found.setdefault(field, []).extend(codes)

    def require(self, given: dict[str, Any], *names: str) -> None:
        for name in names:
            if is_blank(given.get(name)):
                self.add(name, "value_is_mandatory")

    def one_of(self, given: dict[str, Any], name: str, allowed: tuple[str, ...]) -> None:
        if given.get(name) not in allowed:
            self.add(name, "value_is_invalid")

    def stop(self) -> None:
        """Answer 422 if anything is wrong."""
        if self.found:
            raise Invalid(self.found)


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def decimal_text(value: Any) -> Decimal | None:
    """Return a decimal that was given as a string; a JSON number is refused by Lago (B33)."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        return Decimal(value.strip())
    except InvalidOperation:
        return None


def moment(problems: Problems, given: dict[str, Any], name: str) -> datetime | None:
    """Return a time given as ISO 8601, or None where there is none."""
    if is_blank(given.get(name)):
        return None
    found = clock.parse(given[name])
    if found is None:
        problems.add(name, "invalid_date")
    return found
