"""`make mutants`: plant each bug of `edits.py` in a copy of the tree, and see its test turn red; 1 where one survives.

First every named test must be green without a bug. Two copies are worked on side by side, each with servers of its own.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Final

sys.path[0] = str(Path(__file__).resolve().parents[2])
sys.modules["tests"] = ModuleType("tests")  # the Lago client installs a package of this name
sys.modules["tests"].__path__ = [str(Path(__file__).resolve().parents[1])]

from billing_portal.embedded import instance as running  # noqa: E402 - after the path
from billing_portal.embedded.places import PORTAL, PROJECT, Instance  # noqa: E402
from tests.mutants.edits import MUTANTS, Mutant  # noqa: E402

FOLDER: Final = PORTAL.folder / "mutants"
SIDE_BY_SIDE: Final = 2
_SECONDS: Final = 180
"""What one test may take; one that hangs with a bug in it is red."""
_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis", "node_modules"
)
_say = partial(print, flush=True)
_minutes = count(1)


class Gone(Exception):
    """The text that a mutant replaces is not there, or is there more than once."""


@dataclass
class Copy:
    """A copy of the tree with servers of its own. Migrations are run anew after a bug in them."""

    tree: Path
    instance: Instance
    is_fresh: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def test(self, tests: Sequence[str], *, seconds: float) -> tuple[bool, str]:
        """Return whether all are green, and the end of what pytest says."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command += ["--reuse-db" if self.is_fresh else "--create-db", *tests]
        self.is_fresh = True
        try:
            done = subprocess.run(
                command,
                cwd=self.tree,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.is_fresh = False  # it may have left locks and rows behind
            return False, f"still running after {seconds:.0f} s"
        if done.returncode not in (0, 1):
            raise SystemExit(f"mutants: pytest could not run {tests}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.returncode == 0, done.stdout[-2000:]


@dataclass(frozen=True)
class Found:
    """How one mutant ended."""

    mutant: Mutant
    killed: bool
    seconds: float


def main() -> int:
    """Check the tests without a bug, then every mutant; print the table."""
    options = _options()
    words = options.only.split(",")
    chosen = [one for one in MUTANTS if any(word in one.name for word in words)]
    began = time.monotonic()
    for mutant in chosen:
        _changed(PROJECT, mutant)  # fails before anything is started
    with _copies(min(SIDE_BY_SIDE, len(chosen))) as copies:
        _say(f"mutants: {len(chosen)} bugs; first their tests without any")
        if not _all_green(copies, sorted({one.test for one in chosen})):
            return 1
        found = _side_by_side(copies, chosen)
    survived = [one for one in found if not one.killed]
    minutes = (time.monotonic() - began) / 60
    _say(f"\nmutants: {len(found) - len(survived)} of {len(found)} killed in {minutes:.1f} minutes")
    for one in survived:
        _say(f"  SURVIVED: {one.mutant.name} ({one.mutant.file}): {one.mutant.test} stays green")
    return 1 if survived else 0


def _all_green(copies: list[Copy], tests: list[str]) -> bool:
    """Run the tests without a bug: each file's in one process, the files shared out among the copies."""
    halves = [
        [test for test in tests if hash_of(test) % len(copies) == number] for number in range(len(copies))
    ]
    said: list[str] = []

    def run(copy: Copy, share: list[str]) -> None:
        green, output = copy.test(share, seconds=_SECONDS * 4) if share else (True, "")
        if not green:
            said.append(output)

    _threads([partial(run, copy, share) for copy, share in zip(copies, halves, strict=True)])
    for output in said:
        _say(f"mutants: red without any bug:\n{output}")
    return not said


def hash_of(test: str) -> int:
    """Return a number that is the same for all tests of a file, and in every run."""
    return sum(test.partition("::")[0].encode())


def _side_by_side(copies: list[Copy], chosen: list[Mutant]) -> list[Found]:
    waiting: SimpleQueue[Mutant] = SimpleQueue()
    for mutant in chosen:
        waiting.put(mutant)
    found: list[Found] = []

    def work(copy: Copy) -> None:
        while True:
            try:
                mutant = waiting.get_nowait()
            except Empty:
                return
            one = _plant(copy, mutant)
            found.append(one)
            how = "killed" if one.killed else "SURVIVED"
            _say(f"{mutant.name:58} {mutant.file:40} {_short(mutant.test):90} {how} {one.seconds:5.1f} s")

    _threads([partial(work, copy) for copy in copies])
    if len(found) != len(chosen):
        raise SystemExit("mutants: not all could be tried")
    return found


def _plant(copy: Copy, mutant: Mutant) -> Found:
    """Try one bug, and take it out again."""
    place = copy.tree / mutant.file
    clean, written = place.read_text(), place.stat().st_mtime
    place.write_text(_changed(copy.tree, mutant))
    os.utime(place, (written + 60 * next(_minutes),) * 2)  # so that no compiled file passes for this text
    copy.is_fresh = copy.is_fresh and not mutant.in_database
    began = time.monotonic()
    try:
        green, _ = copy.test([mutant.test], seconds=_SECONDS)
    finally:
        place.write_text(clean)
        os.utime(place, (written, written))
        copy.is_fresh = copy.is_fresh and not mutant.in_database
    return Found(mutant, not green, time.monotonic() - began)


def _changed(tree: Path, mutant: Mutant) -> str:
    text = (tree / mutant.file).read_text()
    for old, new in mutant.edits:
        if text.count(old) != 1:
            raise Gone(f"{mutant.name}: {mutant.file} has {text.count(old)} times {old!r}")
        text = text.replace(old, new)
    return text


@contextmanager
def _copies(count: int) -> Iterator[list[Copy]]:
    """Copy the tree as it is now, and start servers for each copy; all of it goes away afterwards."""
    made: list[Copy] = []
    leases: list[running.Lease] = []
    try:
        for number in range(count):
            folder = FOLDER / str(number)
            shutil.rmtree(folder / "tree", ignore_errors=True)
            shutil.copytree(PROJECT, folder / "tree", ignore=_LEFT_OUT, symlinks=True)
            instance = Instance(folder / "server", durable=False)
            leases.append(running.ensure_running(instance=instance))
            addresses = {"TEST_DATABASE_URL": instance.database_url, "TEST_REDIS_URL": instance.redis_url}
            made.append(Copy(folder / "tree", instance, environment=dict(os.environ | addresses)))
        yield made
    finally:
        for lease in leases:
            lease.release()
        shutil.rmtree(FOLDER, ignore_errors=True)


def _threads(acts: Sequence[partial[None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _short(test: str) -> str:
    return test.rpartition("/")[2]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants ARGS=", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="mutants whose name has one of these, split by commas"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
