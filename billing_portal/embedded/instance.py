"""Starting what is not running, once, however many ask for it at the same time, and ending it after the last."""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from billing_portal.embedded import folders, postgres, valkey
from billing_portal.embedded.places import PORTAL, Instance

PARTS = {"postgres": postgres, "valkey": valkey}  # in the order of their start


@dataclass
class Lease:
    """A share in a running instance; the last one to give its share back ends the instance."""

    instance: Instance
    _share: IO[bytes] | None = field(repr=False)

    def release(self) -> None:
        """Give the share back, and end the instance if nobody else holds one."""
        if self._share is None:
            return
        with starting(self.instance):
            give_back(self.instance, self._share)
            self._share = None


def ensure_running(*, instance: Instance = PORTAL, parts: Collection[str] = tuple(PARTS)) -> Lease:
    """Make sure that `parts` (postgres, valkey) answer, and hold a share in them until `release()` or our end.

    Raises Trouble. The share is a lock of the kernel on an open file, so a killed holder gives it back by dying.
    """
    folders.make(instance.folder)
    with starting(instance):
        share = open_lock(instance.folder / "in-use.lock")
        fcntl.flock(share, fcntl.LOCK_SH)
        try:
            start_missing(instance, parts)
        except BaseException:
            give_back(instance, share)
            raise
        return Lease(instance, share)


def start_missing(instance: Instance, parts: Collection[str]) -> list[str]:
    """Start those of `parts` that do not answer, and return their names."""
    missing = [name for name, part in PARTS.items() if name in parts and not part.answers(instance)]
    for name in missing:
        PARTS[name].start(instance)
    return missing


def give_back(instance: Instance, share: IO[bytes]) -> None:
    if alone(share):
        stop(instance)
    share.close()


def stop(instance: Instance) -> None:
    """End both servers, Valkey first; nothing happens where they do not run."""
    valkey.stop(instance)
    postgres.stop(instance)
    with suppress(OSError):  # it may lie in /tmp, where nothing of ours is to stay
        instance.sockets.rmdir()


@contextmanager
def starting(instance: Instance) -> Iterator[None]:
    """Let one process at a time start or stop `instance`; the file stays, its lock dies with its holder."""
    with open_lock(instance.folder / "starting.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def alone(share: IO[bytes]) -> bool:
    """Say whether no other process holds a share."""
    with suppress(BlockingIOError):
        fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def open_lock(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    except OSError as error:
        raise folders.unwritable(path, error) from error
