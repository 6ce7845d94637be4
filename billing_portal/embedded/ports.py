"""Where the portal of this folder is: the port that was asked for, else that of the `make run` which serves it now."""

import json
import os
from typing import Final
from urllib.parse import urlsplit

from billing_portal.embedded.places import PORTAL

USUAL: Final = "8000"


def portal() -> str:
    """Return the port as it was written: PORT, else that of the running portal of this folder, else 8000.

    So a command typed by hand sees the same portal, and the same sandbox beside it, as the browser does.
    """
    return os.environ.get("PORT") or _of_the_running() or USUAL


def _of_the_running() -> str:
    try:
        claimed = json.loads((PORTAL.folder / "run.lock").read_bytes() or b"{}")
        os.kill(int(claimed["pid"]), 0)
        return str(urlsplit(str(claimed["url"])).port or "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
