"""A small gateway: for every traced request it places a hold, then captures what was used, over HTTP."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import requests

from billing_portal.replay.trace import TracedRequest

_TIMEOUT_SECONDS: Final = (3.05, 30.0)
_TRIES: Final = 5
_SPARE_TOKENS: Final = 64
"""How far above its real output a hold estimates."""


class Unreachable(Exception):
    """Nothing answers where the portal should be."""


@dataclass(slots=True)
class Tally:
    """What came of the replay; `seconds` are the times of single HTTP requests."""

    sent: int = 0
    captured: int = 0
    refused: int = 0
    failed: int = 0
    credits: Decimal = Decimal(0)
    shortfall: Decimal = Decimal(0)
    seconds: list[float] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, problem: str) -> None:
        """Count a problem by its code."""
        self.problems[problem] = self.problems.get(problem, 0) + 1

    def percentile(self, percent: int) -> float:
        """Return the time within which `percent` of the HTTP requests were answered, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """How to reach the portal, and under which names to charge."""

    url: str
    key: str
    organization: str
    model: str
    run: str
    connections: int = 16

    def require_portal(self) -> None:
        """Raise Unreachable unless the portal answers, so that nobody waits for a trace that goes nowhere."""
        try:
            answered = requests.get(f"{self.url}/healthz", timeout=_TIMEOUT_SECONDS).ok
        except requests.RequestException:
            answered = False
        if not answered:
            raise Unreachable(
                f"No portal answers at {self.url}: start it with `make run`, or name it with --url."
            )

    def replay(
        self, trace: Iterable[TracedRequest], *, rate: float | None, progress: Callable[[Tally], None]
    ) -> Tally:
        """Send the whole trace, at most `rate` requests a second where told, and return what came of it."""
        tally = Tally()
        sessions = threading.local()
        room = threading.Semaphore(self.connections * 2)

        def serve(traced: TracedRequest) -> None:
            try:
                self._serve(sessions, tally, traced)
            finally:
                room.release()

        with ThreadPoolExecutor(self.connections) as pool:
            sent = []
            for traced in _paced(trace, rate):
                room.acquire()  # the trace is read as fast as it is sent, not into memory
                sent.append(pool.submit(serve, traced))
                progress(tally)
            for one in sent:
                one.result()
        return tally

    def _serve(self, sessions: Any, tally: Tally, traced: TracedRequest) -> None:
        session = getattr(sessions, "session", None)
        if session is None:
            session = sessions.session = self._session()
        hold = {
            "transaction_id": f"{self.run}-{traced.number}",
            "model": self.model,
            "input_tokens": traced.input_tokens,
            "max_output_tokens": traced.output_tokens + _SPARE_TOKENS,
            "service": "llm",
        }
        placed = self._post(session, tally, "/holds", hold)
        charge = None
        if placed is not None:
            used = {"input_tokens": traced.input_tokens, "output_tokens": traced.output_tokens}
            charge = self._post(session, tally, f"/holds/{placed['hold']['id']}/capture", used)
        with tally.lock:
            tally.sent += 1
            if charge is not None:
                tally.captured += 1
                tally.credits += Decimal(charge["charge"]["credits"])
                tally.shortfall += Decimal(charge["charge"]["shortfall"])

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.key}"
        session.headers["X-Organization"] = self.organization
        session.trust_env = False
        return session

    def _post(
        self, session: requests.Session, tally: Tally, path: str, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the answer, or None for a refusal. What is safe to repeat (503, no answer) is sent again: it has a key."""
        problem = "no answer"
        for attempt in range(_TRIES):
            begun = time.perf_counter()
            try:
                response = session.post(f"{self.url}/api/v1/usage{path}", json=body, timeout=_TIMEOUT_SECONDS)
            except requests.RequestException as error:
                problem = type(error).__name__
            else:
                with tally.lock:
                    tally.seconds.append(time.perf_counter() - begun)
                if response.ok:
                    answer: dict[str, Any] = response.json()
                    return answer
                problem = _code(response)
                if response.status_code != 503:
                    break
            time.sleep(0.05 * 2**attempt)
        with tally.lock:
            tally.note(problem)
            if path == "/holds":
                tally.refused += 1
            else:
                tally.failed += 1
        return None


def _paced(trace: Iterable[TracedRequest], rate: float | None) -> Iterator[TracedRequest]:
    begun = time.monotonic()
    for number, traced in enumerate(trace):
        if rate is not None:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        yield traced


def _code(response: requests.Response) -> str:
    try:
        return f"{response.status_code} {response.json()['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return str(response.status_code)
