"""Makes .venv from a lock file with plain pip: `python3 venv.py requirements.lock`.

Runs before anything is installed, so it needs nothing but Python, and no other module of this package.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
VENV = PROJECT / ".venv"
OLDEST = (3, 11)
COVERS = {
    "requirements-dev.lock": ("requirements-dev.lock", "requirements.lock")
}  # what is pinned in one is in the other


def main() -> None:
    """Install the lock file named on the command line, unless just that is installed already."""
    if sys.version_info < OLDEST:
        fail(
            f"Python {sys.version.split()[0]} is too old",
            "3.11 or newer is needed",
            "Name one: make run PYTHON=python3.11",
        )
    lock = PROJECT / sys.argv[1]
    try:
        (PROJECT / "var").mkdir(exist_ok=True)
        with (PROJECT / "var" / "venv.lock").open("w") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)
            if not is_installed(lock):
                install(lock)
    except OSError as error:
        where = error.filename or PROJECT
        fail(
            f"Cannot write {where}",
            error.strerror or str(error),
            "Make it writable, or copy the project to a folder of yours",
        )


def is_installed(lock: Path) -> bool:
    """Say whether the marker, written last, names this lock file's content and the interpreter still runs."""
    marker = VENV / f".installed-{lock.name}"
    return marker.is_file() and marker.read_text() == digest(lock) and interpreter_works()


def interpreter_works() -> bool:
    """Say whether .venv has an interpreter that starts and a pip."""
    try:
        return (
            subprocess.run([python(), "-c", "import pip"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def install(lock: Path) -> None:
    began = time.monotonic()
    say(f"Installing {lock.name} into .venv (the first time takes a minute or two) ...")
    for name in COVERS.get(lock.name, (lock.name,)):
        (VENV / f".installed-{name}").unlink(missing_ok=True)
    if not interpreter_works():
        make()
    pip = [python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run(
        [*pip, "--require-hashes", "-r", str(lock)],
        "Cannot install " + lock.name,
        "Check the network, then run it again",
    )
    for name in COVERS.get(lock.name, (lock.name,)):
        (VENV / f".installed-{name}").write_text(digest(PROJECT / name))
    say(f"Installed in {time.monotonic() - began:.0f} s")


def make() -> None:
    """Make .venv anew: one without a working interpreter was left half made, or its Python has gone."""
    if VENV.exists() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    hint = "Install Python's venv (Debian: apt-get install python3-venv), then run it again"
    run([sys.executable, "-m", "venv", str(VENV)], "Cannot make .venv", hint)


def run(command: list[str], what: str, hint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        errors = [line for line in said if line.startswith("ERROR:")]
        fail(what, (errors or said)[-1], hint)


def python() -> str:
    return str(VENV / "bin" / "python")


def digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def say(text: str) -> None:
    print(text, flush=True)


def fail(what: str, why: str, do: str) -> None:
    sys.exit(f"billing portal: {what}: {why}. {do}")


if __name__ == "__main__":
    os.umask(os.umask(0o022) | 0o022)  # nobody else may write into what we are going to execute
    main()
