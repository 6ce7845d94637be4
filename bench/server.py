"""The portal's web server as `make run` starts it, with the opponent's address beside ours."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from billing_portal.embedded.places import PROJECT

_STARTS_WITHIN: Final = 60.0
_COMMAND: Final = ("-m", "gunicorn", "--config", "python:billing_portal.gunicorn", "billing_portal.wsgi")


@contextmanager
def serving(*, port: int, log: Path) -> Iterator[None]:
    """Run gunicorn on 127.0.0.1 with the environment of this process; `log` gets what it says."""
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *_COMMAND], cwd=PROJECT, stdout=output, stderr=output)
    try:
        _wait_until_it_answers(process, port, log)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=35)
        process.kill()
        process.wait()


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while process.poll() is None and time.monotonic() < until:
        if _answers(port):
            return
        time.sleep(0.1)
    raise SystemExit(f"gunicorn does not answer on port {port}: {log.read_text()[-2000:]}")


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
