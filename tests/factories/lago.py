"""The Lago of the tests: the real sandbox process over HTTP, never a mock.

A part that uses it imports the two fixtures in its conftest: `from tests.factories.lago import lago, lago_process`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lago_sync.client import circuit

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "lago-sandbox-key"
HMAC_KEY = "11111111-2222-3333-4444-555555555555"


class Sandbox:
    """A running sandbox: its address and keys, and its control plane."""

    def __init__(
        self, *, url: str, folder: Path, process: subprocess.Popen[bytes], environment: dict[str, str]
    ):
        self.url = url
        self.folder = folder
        self.api_key = environment.get("LAGO_SANDBOX_API_KEY", API_KEY)
        self.hmac_key = environment.get("LAGO_SANDBOX_HMAC_KEY", HMAC_KEY)
        self.process = process
        self.environment = environment
        self._session = requests.Session()
        self._session.trust_env = False

    def reset(self) -> None:
        """Begin anew: no rows, the wall clock, default switches."""
        self._control("reset")

    def advance(self, seconds: float) -> None:
        """Move the clock on, doing what falls due on the way."""
        self._control("clock", advance_seconds=seconds)

    def set_clock(self, moment: str) -> None:
        self._control("clock", set=moment)

    def now(self) -> str:
        return self._read("clock")["now"]

    def pay(self, invoice_id: str) -> None:
        """Let the payment provider report success."""
        self._control("pay", invoice_id=invoice_id)

    def decline(self, invoice_id: str) -> None:
        self._control("decline", invoice_id=invoice_id)

    def void(self, invoice_id: str) -> None:
        self._control("void", invoice_id=invoice_id)

    def lose_dispute(self, invoice_id: str) -> None:
        """Let the bank take a payment back."""
        self._control("lose_dispute", invoice_id=invoice_id)

    def make_key(self, key: str) -> None:
        """Let one more API key in."""
        self._control("keys", make=key)

    def revoke_key(self, key: str) -> None:
        self._control("keys", revoke=key)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Plan faults: method, path (regular expressions), times, latency, status, body, drop, after_commit."""
        self._control("faults", faults=list(faults))

    def settings(self, **changes: Any) -> dict[str, Any]:
        return self._control("settings", **changes)["settings"]

    def dump(self) -> dict[str, Any]:
        """Return all rows by model name (customer, event, delivery, …), and `requests`."""
        return self._read("dump")

    def drain(self, horizon: float = 2.0) -> None:
        """Return when nothing is left of what is due within `horizon` seconds; it is not waited for but done."""
        found = self._control("drain", horizon=horizon)
        assert found == {"waiting": 0, "failed_jobs": []}, found

    def flush(self) -> None:
        """Send all waiting webhooks with all their attempts, without the waits between them."""
        self._control("webhooks/flush")

    def requested(self, method: str, path: str) -> int:
        """Return how often the API was asked; ids in the path are written <id>."""
        counted = self.dump()["requests"]
        return sum(one["count"] for one in counted if (one["method"], one["path"]) == (method, path))

    def api(self, method: str, path: str, *, json: Any = None, params: Any = None, key: str | None = None):
        """Ask the API below /api/v1 and return the raw answer."""
        return self._session.request(
            method,
            f"{self.url}/api/v1/{path.lstrip('/')}",
            json=json,
            params=params,
            headers={"Authorization": f"Bearer {self.api_key if key is None else key}"},
            timeout=30,
        )

    def kill(self) -> None:
        """kill -9, as a machine would lose it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def start_again(self) -> None:
        """Start on the same folder and port after `kill` or `stop`."""
        port = int(self.url.rpartition(":")[2])
        self.process = _launch(self.folder, port, self.environment)
        _wait_until_it_answers(self.url, self.process, self.folder)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        self._session.close()

    def _control(self, path: str, **given: Any) -> dict[str, Any]:
        answer = self._session.post(f"{self.url}/sandbox/{path}", json=given, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _read(self, path: str) -> dict[str, Any]:
        answer = self._session.get(f"{self.url}/sandbox/{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


def start_sandbox(folder: Path, **environment: str) -> Sandbox:
    """Return a sandbox on a free port with its file in `folder`; who starts it stops it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    process = _launch(folder, port, environment)
    _wait_until_it_answers(url, process, folder)
    return Sandbox(url=url, folder=folder, process=process, environment=environment)


@pytest.fixture(scope="session")
def lago_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox a session (and a worker of xdist)."""
    sandbox = start_sandbox(tmp_path_factory.mktemp("lago"))
    yield sandbox
    sandbox.stop()
    sandbox.close()


@pytest.fixture
def lago(lago_process: Sandbox, settings: Any) -> Sandbox:
    """The session's sandbox, empty, with the portal's settings pointing at it."""
    lago_process.reset()
    settings.LAGO_API_URL = lago_process.url
    settings.LAGO_API_KEY = lago_process.api_key
    settings.LAGO_WEBHOOK_HMAC_KEY = lago_process.hmac_key
    circuit.forget()
    return lago_process


def _launch(folder: Path, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "LAGO_"))}
    with (folder / "sandbox.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lago_sandbox", "--port", str(port), "--folder", str(folder)],
            cwd=ROOT,
            env={**own, "LAGO_SANDBOX": "1", "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    ends = time.monotonic() + 90  # seconds; on a quiet machine it takes two
    while time.monotonic() < ends and process.poll() is None:
        try:
            with requests.get(f"{url}/health", timeout=2):
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError(f"the sandbox does not answer:\n{(folder / 'sandbox.log').read_text()}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
