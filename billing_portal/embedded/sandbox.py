"""The Lago sandbox of `make run`: where it is, what opens it (its keys open nothing else), and starting it for a command."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from billing_portal.embedded import children, folders, ports
from billing_portal.embedded.places import PORTAL
from billing_portal.embedded.trouble import Trouble

API_KEY: Final = "lago-sandbox-key"
HMAC_KEY: Final = "11111111-2222-3333-4444-555555555555"
PROVIDER: Final = "stripe"
"""The payment provider whose page the sandbox plays."""

STARTS_WITHIN: Final = 30.0  # seconds


def port() -> int:
    """Return the port beside the portal's."""
    return int(ports.portal()) + 1


def url() -> str:
    return f"http://127.0.0.1:{port()}"


def command() -> list[str]:
    return ["manage.py", "lago_sandbox", "--port", str(port())]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def running() -> Iterator[None]:
    """Let a command have a sandbox: the one that runs, or one that is started for it and ended after it."""
    if answers(url()):
        yield
        return
    folders.make(PORTAL.logs)
    log = PORTAL.logs / "sandbox.log"
    process = children.launch(command(), log=log, environment={})
    try:
        until = time.monotonic() + STARTS_WITHIN
        while not answers(url()):
            if process.poll() is not None or time.monotonic() > until:
                raise Trouble(
                    "The Lago sandbox does not start",
                    why=children.last_line(log),
                    do="Read var/log/sandbox.log",
                )
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()
