"""What a price list offers: entries read from a file, before anything is compared with the table."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Final

from credits import amounts
from kit.errors import DomainError

LARGEST: Final = Decimal(1_000_000_000)
"""No price comes near: a figure from here on is a mistake."""
LONGEST_NAME: Final = 128
DEFAULT_OUTPUT_TOKENS: Final = 1024

_TOLD: Final = 20

Key = tuple[str, str, str, str]
"""Kind, name, size and quality."""


class BadPrices(DomainError):
    """The file is no price list, or entries of it are wrong; the message names them."""

    code: ClassVar[str] = "validation_error"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One price, per token, image or unit. `default_output_tokens` is None where the list does not say it."""

    kind: str
    name: str
    size: str = ""
    quality: str = ""
    provider: str = ""
    input_price: Decimal = amounts.ZERO
    output_price: Decimal = amounts.ZERO
    cached_input_price: Decimal | None = None
    each_price: Decimal = amounts.ZERO
    default_output_tokens: int | None = None
    expected_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    """What a new price expects of the model where `default_output_tokens` says nothing."""

    @property
    def key(self) -> Key:
        """What there is one present price of."""
        return self.kind, self.name, self.size, self.quality

    @property
    def is_free(self) -> bool:
        """Tell whether it asks nothing."""
        return not (self.input_price or self.output_price or self.each_price)


@dataclass(slots=True)
class PriceList:
    """A whole file: what it offers, what of it cannot be used and why, and what is wrong with it."""

    entries: int = 0
    offers: dict[Key, Offer] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)

    def checked(self) -> "PriceList":
        """Return the list; raises BadPrices that names what is wrong, up to twenty entries of it."""
        if self.wrong:
            more = len(self.wrong) - _TOLD
            told = self.wrong[:_TOLD] + ([f"and {more} more"] if more > 0 else [])
            raise BadPrices("\n".join([f"{len(self.wrong)} of {self.entries} entries are wrong:", *told]))
        return self


def price(value: object) -> Decimal:
    """Return a price as the table keeps it; raises ValueError with a sentence for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("must be a number")  # noqa: TRY004 - one kind of "no price"
    number = Decimal(value)
    if not (number.is_finite() and 0 <= number < LARGEST):
        raise ValueError(f"must be a price of 0 or more, not {value}")
    return amounts.price(number)
