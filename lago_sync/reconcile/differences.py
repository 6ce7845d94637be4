"""A difference between the portal's books and Lago's, as it is kept and shown."""

from dataclasses import dataclass
from decimal import Decimal

from credits import amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, why that may be and what to do, and how both sides say it."""

    what: str
    why: str
    ours: str = ""
    lagos: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure on both sides, exact."""

    ours: Decimal
    lagos: Decimal

    def plain(self) -> dict[str, str]:
        return {"ours": amounts.text(self.ours), "lagos": amounts.text(self.lagos)}
