"""HTTP clients: many kept-alive connections in one process, on raw sockets, so that the generator takes little CPU.

A client's operation is a script: a generator that yields requests and is sent the bodies of their answers.
"""

import heapq
import multiprocessing
import selectors
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final

from bench.figures import Sample, within

Script = Generator[bytes, bytes, None]
_PATIENCE: Final = 30.0
"""Seconds after the end until an answer is given up."""
_LENGTH: Final = b"\r\ncontent-length:"


class BrokenAnswer(Exception):
    """The connection ended, or the answer was none that we asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is sent: by `connections` that each wait for their answer, or at a fixed `rate` a second."""

    port: int
    connections: int
    seconds: float
    charges: int
    """Of one operation."""
    rate: float | None = None


@dataclass(slots=True, eq=False)
class _Client:
    """One connection, and the operation that is under way on it."""

    port: int
    connection: socket.socket = field(init=False)
    script: Script | None = None
    begun: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.connection = socket.create_connection(("127.0.0.1", self.port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self, script: Script, at: float) -> None:
        """Send the first request of an operation that was due `at`."""
        self.script, self.begun = script, at
        self.connection.sendall(next(script))

    def goes_on(self) -> bool:
        """Read what has come; tell whether the operation is still under way. Raises BrokenAnswer."""
        chunk = self.connection.recv(1 << 18)
        if not chunk:
            raise BrokenAnswer("the server closed the connection")
        self.received += chunk
        body = _whole(self.received)
        if body is None:
            return True
        self.received.clear()
        assert self.script is not None
        try:
            self.connection.sendall(self.script.send(body))
        except StopIteration:
            return False
        return True


def run(load: Load, script: Callable[[], Script]) -> Sample:
    """Send the load from a process of its own, so that its CPU can be told from everybody else's."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(_Generator(load, script).run()), daemon=True)
    process.start()
    sample = ours.recv() if ours.poll(load.seconds + 2 * _PATIENCE) else None
    process.join(timeout=1)
    if not isinstance(sample, Sample):
        raise BrokenAnswer("the load generator ended without a result")
    return sample


class _Generator:
    def __init__(self, load: Load, script: Callable[[], Script]) -> None:
        self._load = load
        self._script = script
        self._selector = selectors.DefaultSelector()
        self._idle = [_Client(load.port) for _ in range(load.connections)]
        self._sample = Sample(seconds=load.seconds, charges=0, latencies=[])
        self._busy = 0
        for client in self._idle:
            self._selector.register(client.connection, selectors.EVENT_READ, client)

    def run(self) -> Sample:
        """Keep the connections busy until the time is over, then wait for what is under way."""
        cpu, begun = time.process_time(), time.perf_counter()
        self._end = begun + self._load.seconds
        self._due: list[float] = [begun]
        while (now := time.perf_counter()) < self._end or self._busy:
            self._begin_due(now)
            if now > self._end + _PATIENCE:
                self._sample.failures += self._busy
                break
            for key, _ in self._selector.select(self._pause(now)):
                self._advance(key.data)
        self._sample.cpu = (time.process_time() - cpu) / (time.perf_counter() - begun)
        return self._sample

    def _begin_due(self, now: float) -> None:
        """Begin what is due on idle connections; at a fixed rate the wait for one counts as the server's."""
        while self._idle and now < self._end:
            at = now
            if self._load.rate is not None:
                if self._due[0] > now:
                    return
                at = heapq.heapreplace(self._due, self._due[0] + 1 / self._load.rate)
            self._idle.pop().begin(self._script(), at)
            self._busy += 1

    def _pause(self, now: float) -> float:
        until = self._end
        if self._load.rate is not None and self._idle:
            until = min(until, self._due[0])
        return max(until - now, 0.0) if now < self._end else 1.0

    def _advance(self, client: _Client) -> None:
        try:
            if client.goes_on():
                return
        except (BrokenAnswer, OSError) as error:
            self._replace(client, error)
            return
        done = time.perf_counter()
        self._sample.latencies.append(done - client.begun)
        self._sample.charges += self._load.charges * within(client.begun, done, self._end)
        self._busy -= 1
        self._idle.append(client)

    def _replace(self, client: _Client, error: Exception) -> None:
        """Count a failure, say the first, and go on with a fresh connection."""
        if not self._sample.failures:
            print(f"    {type(error).__name__}: {str(error)[:300]}", flush=True)
        self._sample.failures += 1
        self._busy -= 1
        self._selector.unregister(client.connection)
        client.connection.close()
        fresh = _Client(self._load.port)
        self._selector.register(fresh.connection, selectors.EVENT_READ, fresh)
        self._idle.append(fresh)


def _whole(received: bytearray) -> bytes | None:
    """Return the body of a whole answer, None while some of it is missing; raises BrokenAnswer unless it is a 2xx."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    headers = bytes(received[: head + 2])
    found = headers.lower().find(_LENGTH)
    length = int(headers[found + len(_LENGTH) : headers.index(b"\r\n", found + 2)])
    if len(received) < head + 4 + length:
        return None
    body = bytes(received[head + 4 : head + 4 + length])
    if headers[9:10] != b"2":
        raise BrokenAnswer(f"{headers[9:12].decode()} {body[:200].decode(errors='replace')}")
    return body
