"""Where the Lago sandbox of `make run` is and what opens it. Starts nothing; its keys open nothing else."""

import os
from typing import Final

API_KEY: Final = "lago-sandbox-key"
HMAC_KEY: Final = "11111111-2222-3333-4444-555555555555"
PROVIDER: Final = "stripe"
"""The payment provider whose page the sandbox plays."""


def port() -> int:
    """Return the port beside the portal's."""
    return int(os.environ.get("PORT", "8000")) + 1


def url() -> str:
    return f"http://127.0.0.1:{port()}"
