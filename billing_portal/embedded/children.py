"""The processes that `make run` starts: each in a session of its own, with its log, found again by a mark."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from billing_portal.embedded import processes
from billing_portal.embedded.places import HAS_PROC, PORTAL, PROJECT

# In the environment of all that a supervisor starts, and so of all that those start: how a later run finds what a
# killed supervisor left behind, without trusting process numbers in a file.
MARK = "PORTAL_SUPERVISED_IN"


@dataclass
class Child:
    """One long-running process and how to start it."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    started_at: float = 0.0  # monotonic seconds
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return PORTAL.logs / f"{self.name}.log"

    @property
    def ready_file(self) -> Path:
        return PORTAL.folder / f"{self.name}.ready"

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        self.started_at = time.monotonic()
        self.process = launch(
            self.command,
            log=self.log,
            environment={"PORTAL_READY_FILE": str(self.ready_file)} | self.environment,
        )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.is_running():
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process and whatever it has started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_words(self) -> str:
        return last_line(self.log)


def launch(command: list[str], *, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a command of this virtual environment, out of reach of the terminal's Ctrl-C."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", MARK: str(PORTAL.folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def last_line(log: Path) -> str:
    try:
        with log.open("rb") as written:
            written.seek(max(0, log.stat().st_size - 4096))
            lines = [line for line in written.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "no log"
    return lines[-1].strip() if lines else "it said nothing"


def left_behind() -> list[int]:
    """Return the processes of an earlier `make run` in this folder that outlived their supervisor."""
    mark = f"{MARK}={PORTAL.folder}"
    if HAS_PROC:
        return [pid for pid, variables in read_environments() if os.fsencode(mark) in variables]
    listed = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,command="], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if mark in line]


def read_environments() -> list[tuple[int, list[bytes]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                found.append((int(entry.name), (entry / "environ").read_bytes().split(b"\0")))
    return found


def end_left_behind(*, seconds: float = 10.0) -> int:
    """End them, politely first; return how many there were."""
    found = left_behind()
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    for pid in found:
        if not processes.wait_for_end(pid, seconds=max(0.0, until - time.monotonic())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return len(found)
