"""`python -m billing_portal.embedded run|reset`: what `make run` and `make reset` call."""

import os
import sys

from billing_portal.embedded.places import PROJECT
from billing_portal.embedded.trouble import Trouble


def main() -> None:
    """Run the command; whatever is known to go wrong is one line."""
    command = sys.argv[1] if len(sys.argv) > 1 else "run"
    try:
        reset() if command == "reset" else run()
    except Trouble as trouble:
        sys.exit(f"billing portal: {trouble}")


def run() -> None:
    from billing_portal.embedded import dotenv
    from billing_portal.embedded.supervisor import Supervisor

    dotenv.write_if_missing(PROJECT / ".env")
    from billing_portal.settings import (
        base as settings,
    )  # after .env; it reads the environment and starts nothing

    if not settings.DEBUG:
        why = "DEBUG is off, and `make run` is for development"
        raise Trouble(
            "Not started", why=why, do="Set DEBUG=1 in .env, or see docs/operations.md for production"
        )
    Supervisor(port=port(), parts=settings.EMBEDDED_PARTS, with_sandbox=settings.LAGO_IS_SANDBOX).run()


def reset() -> None:
    from billing_portal.embedded import reset as resetting

    resetting.reset(force=os.environ.get("FORCE", "") not in {"", "0"})


def port() -> int:
    text = os.environ.get("PORT", "8000")
    if not text.isdigit() or not 0 < int(text) < 65535:
        raise Trouble(
            "Cannot listen",
            why=f"PORT is {text!r}, not a number from 1 to 65534 (the Lago sandbox takes the one after it)",
            do="make run PORT=8000",
        )
    return int(text)


if __name__ == "__main__":
    main()
