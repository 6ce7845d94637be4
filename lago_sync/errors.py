"""What goes wrong between the portal and Lago. *Not found* is no error: a question for one thing answers None."""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.errors import DomainError

Codes = Mapping[str, Sequence[str]]
"""Lago's codes by field, such as {"transaction_id": ["value_already_exist"]}."""


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


class LagoRefused(LagoIntegrationError):
    """Lago said no, and did nothing. `lago_code` and `codes` are its own words, `http_status` its status."""

    def __init__(self, message: str, /, *, http_status: int, lago_code: str, codes: Any) -> None:
        super().__init__(message, lago_code=lago_code, lago_errors=codes)
        self.http_status = http_status
        self.lago_code = lago_code
        self.codes = codes

    def has(self, code: str) -> bool:
        """Tell whether Lago names this code for some field."""
        return isinstance(self.codes, dict) and any(
            code in named for named in self.codes.values() if isinstance(named, list)
        )


class PurchasesStopped(LagoIntegrationError):
    """Lago is set up so that credits would be billed twice, or could not be told from others; nothing is bought."""
