"""Fields that only the ledger's API has: amounts of credits and money, images, tokens, transaction ids, metadata."""

import re
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from credits import amounts
from kit.rest.fields import Fields

_METADATA_BYTES: Final = 4096
_MOST_TOKENS: Final = 1_000_000_000
_MOST_IMAGES: Final = 10_000
_MONEY_PLACES: Final = 15
_TRANSACTION_ID: Final = re.compile(r"[\x20-\x7e]{1,128}")


class Body(Fields):
    """The fields of a body about credits: beside the plain kinds, amounts, costs and what is kept with them."""

    def transaction_id(self, *, needed: bool) -> str:
        """Return the id that makes a repeat harmless."""
        value = self.given.get("transaction_id")
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or not _TRANSACTION_ID.fullmatch(value):
            self.wrong["transaction_id"] = "must be 1 to 128 printable ASCII characters"
            return ""
        return value

    def amount(self, name: str, *, places: int = amounts.PLACES) -> Decimal | None:
        """Return a decimal of 0 or more; None where it was not given."""
        value = self.given.get(name)
        return None if value is None else self._parsed(name, value, places)

    def money(self) -> Decimal | None:
        """Return the amount of `cost`, in `PRICE_CURRENCY`."""
        value = self.given.get("cost")
        if not isinstance(value, dict) or not value.keys() <= {"amount", "currency"}:
            self.wrong["cost"] = "must be an object of amount and currency"
            return None
        if value.get("currency") != settings.PRICE_CURRENCY:
            self.wrong["cost"] = f"must be in {settings.PRICE_CURRENCY}"
            return None
        return self._parsed("cost", value.get("amount"), _MONEY_PLACES)

    def images(self) -> tuple[int, str, str]:
        """Return count, size and quality of `images`."""
        value = self.given.get("images")
        inner = Fields(value if isinstance(value, dict) else {})
        count = inner.whole("count", least=1, most=_MOST_IMAGES)
        size, quality = inner.line("size", longest=32), inner.line("quality", longest=32)
        if count is None or inner.wrong or not inner.given.keys() <= {"count", "size", "quality"}:
            self.wrong["images"] = (
                f"must have a count of 1 to {_MOST_IMAGES}, and may have size and quality as text"
            )
        return count or 0, size, quality

    def tokens(self, name: str) -> int | None:
        """Return a number of tokens; None where it was not given."""
        return self.whole(name, most=_MOST_TOKENS)

    def metadata(self) -> dict[str, Any]:
        """Return flat JSON to keep with the record."""
        value = self.given.get("metadata")
        if value is None:
            return {}
        if not isinstance(value, dict) or any(isinstance(inner, (dict, list)) for inner in value.values()):
            self.wrong["metadata"] = "must be an object without objects or lists inside"
            return {}
        if len(repr(value).encode("utf-8", "replace")) > _METADATA_BYTES:
            self.wrong["metadata"] = "must have at most 4 KiB"
            return {}
        return value

    def _parsed(self, name: str, value: object, places: int) -> Decimal | None:
        try:
            return amounts.parse(value, places=places)
        except ValueError as error:
            self.wrong[name] = str(error)
            return None
