"""What goes wrong between the portal and Lago. *Not found* is no error: a question for one thing answers None."""

from dataclasses import dataclass
from typing import Any

from kit.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with how Lago is set up: what it is, and what a person does about it.

    Of one organization (public id), or of all: so far reaches `stops_purchases`.
    """

    what: str
    do: str
    stops_purchases: bool = False
    organization: str = ""


class LagoIntegrationError(DomainError):
    """Lago could not be asked, did not answer, or refused."""

    code = "billing_unavailable"
    status = 502


class LagoNotConfigured(LagoIntegrationError):
    """There is no address of Lago, or no key."""

    def __init__(self) -> None:
        super().__init__("Lago API configuration missing")


class LagoUnavailable(LagoIntegrationError):
    """Lago gave no usable answer: whether it did what it was asked is unknown."""


class LagoUnreachable(LagoUnavailable):
    """No connection was made, so Lago certainly did nothing."""


class LagoIsSandbox(LagoUnreachable):
    """The address of a production portal is our sandbox, where anybody pays with a click; nothing is sent there."""

    def __init__(self) -> None:
        super().__init__("LAGO_API_URL is the sandbox, which a portal in production does not use.")


class LagoRefused(LagoIntegrationError):
    """Lago said no, and did nothing. `lago_code` and `codes` are its own words, `http_status` its status.

    `codes` has four shapes (reference/lago.md §1.2): {field: [codes]}, {index: {field: [codes]}}, {index: text}, text.
    """

    def __init__(self, message: str, /, *, http_status: int, lago_code: str, codes: Any) -> None:
        super().__init__(message, lago_code=lago_code, lago_errors=codes)
        self.http_status = http_status
        self.lago_code = lago_code
        self.codes = codes

    def has(self, code: str) -> bool:
        """Tell whether Lago names this code, for whichever field or entry of a batch."""
        return _names(self.codes, code)


class PurchasesStopped(LagoIntegrationError):
    """Lago is set up so that credits would be billed twice, or could not be told from others; nothing is bought."""


def _names(found: Any, code: str) -> bool:
    if isinstance(found, dict):
        return any(_names(inner, code) for inner in found.values())
    if isinstance(found, list):
        return any(_names(inner, code) for inner in found)
    return bool(found == code)
