"""Requests to Lago: one pooled session a process, time limits, retries of what is safe to repeat, typed errors.

Sources: reference/lago.md §1 (conventions, error bodies) and §4 (which calls may be sent again).
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.util import Retry

from lago_sync.errors import LagoNotConfigured, LagoRefused, LagoUnavailable, LagoUnreachable

logger = logging.getLogger(__name__)

Json: TypeAlias = dict[str, Any]
"""An object as Lago sends it: decimals in strings, `*_cents` integers, other numbers `Decimal`."""

CONNECT_SECONDS: Final = 3.05
PER_PAGE: Final = 100
_WORTH_ANOTHER_TRY: Final = (429, 502, 503, 504)
_AWAY: Final = frozenset({429, 500, 502, 503, 504})
_CONNECTIONS: Final = 16


def path(*parts: str) -> str:
    """Return a path below /api/v1 of encoded parts: an id with `/` or `?` must not reach another resource."""
    return "/".join(quote(part, safe="") for part in parts)


def get(resource: str, params: Mapping[str, str] | None = None) -> Json | None:
    """Return one object, None where Lago does not know it. Raises LagoUnavailable, LagoRefused."""
    try:
        return _call("GET", resource, params=params, repeats=True)
    except LagoRefused as refusal:
        if refusal.http_status == 404 and refusal.lago_code.endswith("_not_found"):
            return None
        raise


def pages(resource: str, collection: str, params: Mapping[str, str] | None = None) -> Iterator[Json]:
    """Yield all objects of a list, page by page; ends at the page that has no next one (`total_count` may be stale)."""
    number = 1
    while number:
        asked = {**(params or {}), "page": str(number), "per_page": str(PER_PAGE)}
        answer = _call("GET", resource, params=asked, repeats=True)
        yield from answer.get(collection, [])
        number = int((answer.get("meta") or {}).get("next_page") or 0)


def post(resource: str, body: Json | None = None, *, repeats: bool) -> Json:
    """Send a POST; `repeats` says that Lago takes the same request twice for one (an upsert, or a key of ours in it)."""
    return _call("POST", resource, body=body, repeats=repeats)


def put(resource: str, body: Json) -> Json:
    """Send a PUT, which sets and so may be repeated."""
    return _call("PUT", resource, body=body, repeats=True)


def delete(resource: str, params: Mapping[str, str] | None = None) -> Json | None:
    """Send a DELETE; None where it was gone already, which a repeat finds too."""
    try:
        return _call("DELETE", resource, params=params, repeats=True)
    except LagoRefused as refusal:
        if refusal.http_status == 404:
            return None
        raise


def outside(resource: str) -> Json:
    """Return an answer from outside /api/v1 that needs no key (`/health`)."""
    return _call("GET", resource, repeats=False, base=_base())


def _call(
    method: str,
    resource: str,
    *,
    body: Json | None = None,
    params: Mapping[str, str] | None = None,
    repeats: bool,
    base: str = "",
) -> Json:
    url = f"{base or _base() + '/api/v1'}/{resource}"
    try:
        answer = _session(os.getpid(), repeats).request(
            method,
            url,
            data=None if body is None else json.dumps(body),
            params=dict(params or {}),
            headers={"Authorization": f"Bearer {settings.LAGO_API_KEY}", "Content-Type": "application/json"},
            timeout=(CONNECT_SECONDS, settings.LAGO_TIMEOUT_SECONDS),
            allow_redirects=False,  # the key goes to the address that was configured, and nowhere else
        )
    except requests.RequestException as error:
        logger.warning("Lago did not answer %s %s: %s", method, resource, type(error).__name__)
        if _never_connected(error):
            raise LagoUnreachable("Lago cannot be reached.") from error
        raise LagoUnavailable("Lago does not answer.") from error
    return _read(answer, method, resource)


def _base() -> str:
    """Return the configured address without /api/v1, with which it may come."""
    if not settings.LAGO_API_URL or not settings.LAGO_API_KEY:
        raise LagoNotConfigured
    return str(settings.LAGO_API_URL).rstrip("/").removesuffix("/api/v1").rstrip("/")


@cache
def _session(process: int, repeats: bool) -> requests.Session:  # noqa: FBT001 - part of a cache's key
    """Return this process's session; a fork must not share its parent's connections."""
    again = Retry(
        total=2,
        read=1,  # one, for a kept connection that Lago closed just then: a second time limit is long enough
        allowed_methods=None,
        status_forcelist=_WORTH_ANOTHER_TRY,
        backoff_factor=0.2,
        backoff_jitter=0.2,
        raise_on_status=False,
    )
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=again if repeats else 0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False  # a .netrc would replace our key
    return session


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether the request was not even sent, so that Lago certainly did nothing."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _read(answer: requests.Response, method: str, resource: str) -> Json:
    if answer.status_code in _AWAY or 300 <= answer.status_code < 400:
        logger.warning("Lago answered %s to %s %s", answer.status_code, method, resource)
        raise LagoUnavailable(f"Lago answers {answer.status_code}.")
    if answer.ok and not answer.content:
        return {}
    try:
        found = json.loads(answer.content, parse_float=Decimal)
    except ValueError as error:
        raise LagoUnavailable("Lago answers something that is not JSON.") from error
    if not isinstance(found, dict):
        raise LagoUnavailable("Lago answers JSON of another shape.")
    if answer.ok:
        return found
    raise _refusal(answer.status_code, found)


def _refusal(status: int, body: Json) -> LagoRefused:
    """Return the typed error of a 4xx; `error_details` has four shapes (reference/lago.md §1.2)."""
    code = str(body.get("code") or "")
    codes = body.get("error_details") or {}
    if code == "lock_acquisition_failed":
        raise LagoUnavailable("Lago was busy.")
    said = code or str(body.get("error") or "")
    return LagoRefused(f"Lago refused: {status} {said}", http_status=status, lago_code=code, codes=codes)
