"""Reading a JSON body field by field: the kind of each value is judged here, what it means by the verb it goes to."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from kit import instants
from kit.errors import ValidationError

_Choice = TypeVar("_Choice", bound=Enum)

_LONGEST: Final = 2_000
_LARGEST_LIST: Final = 100
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")


class Fields:
    """The fields of a body, read by name inside `with`; leaving it raises ValidationError (422) for all that was wrong.

    A field that was never read is unknown, unless `allowed` says which are known. A reader that meets a wrong value
    notes it in `wrong` and returns something of its type, so that all wrong fields are told at once.
    """

    def __init__(self, given: Mapping[str, Any], *, allowed: Collection[str] | None = None) -> None:
        self.given = given
        self.wrong: dict[str, str] = {}
        self._allowed = allowed
        self._read: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done()

    def done(self) -> None:
        """Raise ValidationError (422) for all that was wrong, fields that nobody knows included."""
        known = self._read if self._allowed is None else self._allowed
        unknown = {str(name): "There is no such field." for name in self.given if name not in known}
        if self.wrong or unknown:
            raise ValidationError(**(self.wrong | unknown))

    def text(self, name: str) -> str:
        """Return a text that is needed."""
        found = self.text_or_none(name)
        if found is None and name not in self.wrong:
            self.wrong[name] = "This is needed."
        return found or ""

    def text_or_none(self, name: str) -> str | None:
        """Return a text, None where it was not given or is null."""
        found = self._value(name)
        if found is None:
            return None
        if not isinstance(found, str) or len(found) > _LONGEST:
            self.wrong[name] = f"A text of at most {_LONGEST} characters is expected."
            return None
        return found

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty where it was not given."""
        found = self._value(name)
        if found is None:
            return []
        if (
            not isinstance(found, list)
            or len(found) > _LARGEST_LIST
            or not all(isinstance(one, str) for one in found)
        ):
            self.wrong[name] = f"A list of at most {_LARGEST_LIST} texts is expected."
            return []
        return found

    def choice(self, name: str, of: type[_Choice]) -> _Choice | None:
        """Return one of an enum's values, None where it was not given."""
        found = self.text_or_none(name)
        if found is None:
            return None
        known = {one.value: one for one in of}
        if found not in known:
            self.wrong[name] = f"One of {', '.join(known)} is expected."
        return known.get(found)

    def instant(self, name: str) -> datetime | None:
        """Return an RFC 3339 time in UTC, None where it was not given."""
        found = self.text_or_none(name)
        if found is None:
            return None
        at = instants.utc(found)
        if at is None:
            self.wrong[name] = "A time such as 2027-01-31T12:00:00Z is expected."
        return at

    def whole(self, name: str, *, least: int = 0, most: int) -> int | None:
        """Return a whole number within its bounds, None where it was not given."""
        found = self._value(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            self.wrong[name] = f"A whole number from {least} to {most} is expected."
            return None
        return found

    def flag(self, name: str) -> bool:
        """Return true or false, false where it was not given."""
        found = self._value(name)
        if found is not None and not isinstance(found, bool):
            self.wrong[name] = "True or false is expected."
        return found is True

    def line(self, name: str, *, longest: int) -> str:
        """Return one line of text without control characters, empty where it was not given."""
        found = self._value(name)
        if found is None:
            return ""
        if not isinstance(found, str) or len(found) > longest or not _LINE.fullmatch(found):
            self.wrong[name] = (
                f"A text of at most {longest} characters without control characters is expected."
            )
            return ""
        return found

    def has(self, name: str) -> bool:
        """Tell whether the field has a value; null is none."""
        return self._value(name) is not None

    def was_given(self, name: str) -> bool:
        """Tell whether the field is there at all: a null that was said is not one that was left out."""
        self._read.add(name)
        return name in self.given

    def _value(self, name: str) -> Any:
        self._read.add(name)
        return self.given.get(name)
