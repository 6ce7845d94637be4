"""Clients of the load test: many kept-alive connections in one process, which write down every answer they get.

20 % of what they send repeats an id that was sent before, perhaps on another connection and before its answer came.
"""

import json
import random
import selectors
import socket as sockets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

REPEATS: Final = 0.2
_PATIENCE: Final = 30.0
"""Seconds after the end until an answer is given up."""
_KEPT: Final = 2000
"""How many ids back a repeat may reach."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is charged: an organization by its public id, and perhaps one of its members."""

    organization: str
    user: str = ""


@dataclass(slots=True)
class Answer:
    """What one request was answered with."""

    key: str
    status: int
    charge: str
    replayed: bool
    seconds: float


@dataclass(slots=True)
class Log:
    """Everything that the clients sent and heard."""

    answers: list[Answer] = field(default_factory=list)
    sent: dict[str, Target] = field(default_factory=dict)
    unanswered: int = 0

    def percentile(self, share: float) -> float:
        """Return the milliseconds that this share of the answers stayed below."""
        every = sorted(one.seconds for one in self.answers)
        return every[min(len(every) - 1, int(len(every) * share))] * 1000 if every else float("nan")


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Who sends what: `clients` connections charge one credit to one of `targets` each, at most `rate` a second."""

    port: int
    key: str
    clients: int
    targets: Sequence[Target]
    prefix: str
    rate: float | None = None


@dataclass(slots=True, eq=False)
class _Connection:
    port: int
    socket: sockets.socket = field(init=False)
    key: str = ""
    begun: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket = sockets.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)


def run(crowd: Crowd, *, seconds: float) -> Log:
    """Send for so many seconds, wait for what is under way, and return the log."""
    return _Run(crowd).run(seconds)


class _Run:
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._log = Log()
        self._keys: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._idle = [_Connection(crowd.port) for _ in range(crowd.clients)]
        self._busy = 0
        for one in self._idle:
            self._selector.register(one.socket, selectors.EVENT_READ, one)

    def run(self, seconds: float) -> Log:
        begun = time.perf_counter()
        end = self._due = begun + seconds
        self._due = begun
        while (now := time.perf_counter()) < end or self._busy:
            if now < end:
                self._send(now)
            elif now > end + _PATIENCE:
                break
            for key, _ in self._selector.select(0.005 if now < end else 1.0):
                self._receive(key.data)
        self._log.unanswered += self._busy
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()
        return self._log

    def _send(self, now: float) -> None:
        """Give every idle client a request, as far as the rate goes; a late one counts from when it was due."""
        while self._idle:
            at = now
            if self._crowd.rate is not None:
                if self._due > now:
                    return
                at, self._due = self._due, self._due + 1 / self._crowd.rate
            client = self._idle.pop()
            client.key, client.begun = self._next_key(), at
            client.socket.sendall(self._request(client.key))
            self._busy += 1

    def _next_key(self) -> str:
        if self._keys and random.random() < REPEATS:
            return random.choice(self._keys[-_KEPT:])
        key = f"{self._crowd.prefix}-{len(self._keys)}"
        self._keys.append(key)
        self._log.sent[key] = random.choice(self._crowd.targets)
        return key

    def _request(self, key: str) -> bytes:
        target = self._log.sent[key]
        told = {"transaction_id": key, "org_id": target.organization, "credits": "1", "service": "llm"}
        body = json.dumps(told | ({"user_id": target.user} if target.user else {}))
        return (
            f"POST /api/v1/usage/charges HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._crowd.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode("ascii")

    def _receive(self, client: _Connection) -> None:
        try:
            chunk = client.socket.recv(1 << 16)
        except OSError:
            chunk = b""
        client.received += chunk
        answer = _whole(client.received)
        if answer is None and chunk:
            return
        if answer is None:
            self._replace(client)
            return
        status, body = answer
        client.received.clear()
        told = json.loads(body) if body[:1] == b"{" else {}
        charge = told.get("charge") or {}
        seconds = time.perf_counter() - client.begun
        self._log.answers.append(Answer(client.key, status, charge.get("id", ""), status == 200, seconds))
        self._busy -= 1
        self._idle.append(client)

    def _replace(self, client: _Connection) -> None:
        """Go on with a fresh connection where the server closed one without an answer."""
        self._log.unanswered += 1
        self._busy -= 1
        self._selector.unregister(client.socket)
        client.socket.close()
        fresh = _Connection(self._crowd.port)
        self._selector.register(fresh.socket, selectors.EVENT_READ, fresh)
        self._idle.append(fresh)


def _whole(received: bytearray) -> tuple[int, bytes] | None:
    """Return status and body of a whole answer, None while some of it is missing."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    headers = bytes(received[: head + 2])
    name = b"\r\ncontent-length:"
    found = headers.lower().find(name)
    length = int(headers[found + len(name) : headers.index(b"\r\n", found + 2)])
    if len(received) < head + 4 + length:
        return None
    return int(headers[9:12]), bytes(received[head + 4 : head + 4 + length])
