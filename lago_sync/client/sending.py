"""One request and its answer: the sessions, the time limits, the retries, and what each kind of answer means."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, Self, TypeAlias

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import NewConnectionError, ReadTimeoutError
from urllib3.util import Retry

from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable, LagoUnreachable

logger = logging.getLogger(__name__)

Json: TypeAlias = dict[str, Any]
"""An object as Lago sends it: decimals in strings, `*_cents` integers, other numbers `Decimal`."""

Kind: TypeAlias = Literal["once", "again", "again unless too many"]

CONNECT_SECONDS: Final = 3.05
SANDBOX_HEADER: Final = "X-Lago-Sandbox"
"""The sandbox marks each of its answers with it."""

_AWAY: Final = (502, 503, 504)
_TOO_MANY: Final = 429
_LONGEST_WAIT: Final = 5.0
"""Seconds before a second try, whatever the answer asks for."""
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    asked: str

    @property
    def from_sandbox(self) -> bool:
        return SANDBOX_HEADER in self.headers

    @property
    def is_failure(self) -> bool:
        """Whether Lago itself is unwell, rather than the request."""
        return self.status >= 500 or self.status == 408


class _Patience(Retry):
    """Retries of a request that may be repeated: not after a whole time limit has passed, and never after a long wait."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds Lago asks for: its own header says when the limit starts anew (reference/lago.md §1.7)."""
        asked = response.headers.get("X-RateLimit-Reset", "")
        seconds = float(asked) if asked.isdecimal() else super().get_retry_after(response)
        return min(seconds, _LONGEST_WAIT) if seconds is not None else None


def send(
    method: str,
    url: str,
    *,
    body: Json | None,
    params: Mapping[str, str | Sequence[str]],
    key: str,
    repeats: bool,
    waits: bool = True,
) -> Answer:
    """Send a request and return its answer; LAGO_TIMEOUT_SECONDS is how long Lago may say nothing.

    `repeats` says that it may be sent again, `waits` that this may take until Lago's limit starts anew.
    Raises LagoUnreachable where nothing was sent, LagoUnavailable where it is unknown what became of it.
    """
    asked = f"{method} {url.partition('/api/v1/')[2] or url.rpartition('/')[2]}"
    try:
        answer = session(os.getpid(), _kind(repeats=repeats, waits=waits)).request(
            method,
            url,
            data=None if body is None else json.dumps(body, allow_nan=False),
            params=dict(params),
            headers=_headers(key, repeats=repeats),
            timeout=(CONNECT_SECONDS, settings.LAGO_TIMEOUT_SECONDS),
            allow_redirects=False,  # the key goes to the address that was configured, and nowhere else
        )
    except requests.RequestException as error:
        logger.warning("Lago did not answer %s: %s", asked, type(error).__name__)
        if _never_connected(error):
            raise LagoUnreachable("Lago cannot be reached.") from error
        raise LagoUnavailable("Lago does not answer.") from error
    return Answer(
        status=answer.status_code,
        content=answer.content,
        headers=answer.headers,
        asked=asked,
    )


def read(answer: Answer) -> Json:
    """Return the object in an answer. Raises LagoRefused for a no, LagoUnavailable for anything that is no answer."""
    if not (200 <= answer.status < 300 or 400 <= answer.status < 500) or answer.status in {408, _TOO_MANY}:
        logger.warning("Lago answered %s to %s", answer.status, answer.asked)
        if answer.status == _TOO_MANY and "X-RateLimit-Reset" in answer.headers:
            raise LagoUnreachable(
                "Lago's limit of requests is reached."
            )  # its gate keeper: nothing came to Lago
        raise LagoUnavailable(f"Lago answers {answer.status}.")
    if answer.status < 300 and not answer.content:
        return {}
    found = _parsed(answer)
    if answer.status < 300:
        return found
    raise _refusal(answer.status, found)


@cache
def session(process: int, kind: Kind) -> requests.Session:
    """Return this process's session of a kind; a fork must not share its parent's connections."""
    patience = _Patience(
        total=2,
        read=1,  # for a kept connection that Lago closed just then
        allowed_methods=None,
        status_forcelist=_AWAY if kind == "again unless too many" else (*_AWAY, _TOO_MANY),
        backoff_factor=0.2,
        backoff_jitter=0.2,
        raise_on_status=False,
    )
    made = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=0 if kind == "once" else patience)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    made.trust_env = False  # a .netrc would replace our key
    return made


def _kind(*, repeats: bool, waits: bool) -> Kind:
    if not repeats:
        return "once"
    return "again" if waits else "again unless too many"


def _headers(key: str, *, repeats: bool) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if not repeats:
        # A kept connection that is closed in this moment would leave it unknown whether a top-up was made.
        headers["Connection"] = "close"
    return headers


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether the request was not even sent, so that Lago certainly did nothing."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _parsed(answer: Answer) -> Json:
    try:
        found = json.loads(answer.content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        logger.warning("Lago answered %s with something else than JSON to %s", answer.status, answer.asked)
        raise LagoUnavailable("Lago answers something that is not JSON.") from error
    if not isinstance(found, dict):
        raise LagoUnavailable("Lago answers JSON of another shape.")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _refusal(status: int, body: Json) -> LagoIntegrationError:
    """Return the typed error of a 4xx; `error_details` has four shapes (reference/lago.md §1.2)."""
    code = str(body.get("code") or "")
    if code == "lock_acquisition_failed":
        return LagoUnavailable("Lago was busy.")
    said = code or str(body.get("error") or "")
    return LagoRefused(
        f"Lago refused: {status} {said}",
        http_status=status,
        lago_code=code,
        codes=body.get("error_details") or {},
    )
