"""What the demo does at the sandbox's own controls: its clock, and who pays."""

from datetime import datetime
from typing import Any, Final

import requests
from django.conf import settings

_SECONDS: Final = 60


def set_clock(at: datetime) -> None:
    """Move the sandbox's clock; going forward it does everything that falls due in between."""
    _tell("clock", {"set": at.isoformat()})


def settle(*, invoice: str, outcome: str) -> None:
    """Pay an invoice, or let its payment be declined; `outcome` is `pay` or `decline`."""
    _tell(outcome, {"invoice_id": invoice})


def wait() -> None:
    """Return when the sandbox has done all it had to do."""
    _tell("drain", {})


def _tell(what: str, body: dict[str, Any]) -> None:
    address = f"{settings.LAGO_API_URL}/sandbox/{what}"
    requests.post(address, json=body, timeout=_SECONDS).raise_for_status()
