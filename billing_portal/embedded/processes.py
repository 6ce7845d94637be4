"""Asking and ending processes by their number."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from billing_portal.embedded.places import HAS_PROC


def read_pid(file: Path) -> int | None:
    """Return the number on the first line of a pid file, None if there is none."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a finished child of ours is reaped on the way."""
    with suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not is_zombie(pid)


def is_zombie(pid: int) -> bool:
    """Say whether a process has ended and only waits to be reaped by its parent (Linux; elsewhere False)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def belongs_to(pid: int, *, program: str, folder: Path) -> bool:
    """Say whether `pid` is `program` at work in `folder`: a number in a stale file may be anybody's by now."""
    if HAS_PROC:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
            return Path(os.fsdecode(command)).name.startswith(program) and Path(f"/proc/{pid}/cwd").samefile(
                folder
            )
        except OSError:
            return False
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return program in listed.stdout and str(folder) in listed.stdout


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Tell Popen that nobody waits for `process`, which outlives us; without this its end as an object warns."""
    process.returncode = 0


def wait_for_end(pid: int, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def end(pid: int, *, by: signal.Signals, seconds: float, then: signal.Signals = signal.SIGKILL) -> None:
    """Send `by`, wait, and if that was not enough send `then` and wait a little longer."""
    for sent, patience in ((by, seconds), (then, 5.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
        if wait_for_end(pid, seconds=patience):
            return
