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


def store_card(*, page: str) -> None:
    """Store a test card on the page that Lago gave for it, as a person does with its one button."""
    browser = requests.Session()
    browser.get(page, timeout=_SECONDS).raise_for_status()
    form = {"csrfmiddlewaretoken": browser.cookies["lago_sandbox_csrf"]}
    browser.post(page, data=form, timeout=_SECONDS).raise_for_status()


def wait() -> None:
    """Return when the sandbox has done all it had to do."""
    _tell("drain", {})


def _tell(what: str, body: dict[str, Any]) -> None:
    address = f"{settings.LAGO_API_URL}/sandbox/{what}"
    requests.post(address, json=body, timeout=_SECONDS).raise_for_status()
