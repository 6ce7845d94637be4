"""A Lago that takes every connection and never answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread


@dataclass
class Hanging:
    """Where it listens, and who waits for it."""

    listener: socket.socket
    waiting: list[socket.socket] = field(default_factory=list)
    taking: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.taking = Thread(target=self._take, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def asked(self) -> int:
        """How often somebody connected."""
        return len(self.waiting)

    def end(self) -> None:
        """Take nobody any more, and cut off whoever waits."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.taking.join(timeout=5)
        self.listener.close()
        for one in self.waiting:
            one.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self.waiting.append(self.listener.accept()[0])


@contextmanager
def lago_that_hangs() -> Iterator[Hanging]:
    """Listen until the end; then whoever still waits is cut off."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging = Hanging(listener)
        hanging.taking.start()
        try:
            yield hanging
        finally:
            hanging.end()
