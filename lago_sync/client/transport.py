"""Requests to Lago: its key, its limits and the circuit around each, lists page by page, typed errors.

Sources: reference/lago.md §1 (conventions, error bodies) and §4 (which calls may be sent again).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings

from lago_sync.client import circuit, keys, limits, sending
from lago_sync.client.sending import Json
from lago_sync.errors import LagoIsSandbox, LagoNotConfigured, LagoRefused, LagoUnavailable

__all__ = ["Json", "delete", "get", "inside", "outside", "pages", "path", "post", "put", "require", "takes"]

Params = Mapping[str, str | Sequence[str]]

PER_PAGE: Final = 100
_NO_SUCH_ADDRESS: Final = "resource_not_found"
"""Lago has no such route: its address is wrong, or it is another version. Not an answer about a thing."""
_WRONG_KEY: Final = 401


def path(*parts: str) -> str:
    """Return a path below /api/v1 of encoded parts: an id with `/` or `?` must not reach another resource.

    Raises ValueError for parts that no encoding keeps in their place.
    """
    if any(part.strip(".") == "" for part in parts):
        raise ValueError(f"{parts} is no path")
    return "/".join(quote(part, safe="") for part in parts)


def get(resource: str, params: Params | None = None) -> Json | None:
    """Return one answer, None where Lago does not know the thing. Raises LagoUnavailable, LagoRefused."""
    try:
        return _call("GET", resource, params=params, repeats=True)
    except LagoRefused as refusal:
        if _is_not_found(refusal):
            return None
        raise


def require(resource: str, params: Params | None = None, *, always: bool = False) -> Json:
    """Return one answer of something that must be there; `always` asks although the circuit may be open.

    Raises LagoRefused (404) too, LagoUnavailable.
    """
    return _call("GET", resource, params=params, repeats=True, always=always)


def pages(resource: str, collection: str, params: Params | None = None, *, page: int = 1) -> Iterator[Json]:
    """Yield all objects of a list from a page on, each once, page by page.

    Rows move to the next page while new ones arrive, so what came before is left out; `total_count` may be stale and
    is not read. A list that cannot be read to its end raises LagoUnavailable: half of one is worse than none.
    """
    number, seen = page, set[str]()
    while number:
        asked = {**(params or {}), "page": str(number), "per_page": str(PER_PAGE)}
        answer = _call("GET", resource, params=asked, repeats=True)
        rows = inside(answer, collection, list)
        for row in rows:
            known_as = str(row.get("lago_id") or "")
            if not known_as or known_as not in seen:
                seen.add(known_as)
                yield row
        number = _next_page(answer.get("meta"), number, len(rows))


def post(resource: str, body: Json | None = None, *, repeats: bool, waits: bool = True) -> Json:
    """Send a POST; `repeats` says that Lago takes the same request twice for one (an upsert, or a key of ours in it).

    Without `waits` a limit that is reached raises LagoUnreachable at once.
    """
    return _call("POST", resource, body=body, repeats=repeats, waits=waits)


def put(resource: str, body: Json | None = None, params: Params | None = None) -> Json:
    """Send a PUT, which sets and so may be repeated."""
    return _call("PUT", resource, body=body, params=params, repeats=True)


def delete(resource: str, params: Params | None = None) -> Json | None:
    """Send a DELETE; None where it was gone already, which a repeat finds too."""
    try:
        return _call("DELETE", resource, params=params, repeats=True)
    except LagoRefused as refusal:
        if _is_not_found(refusal):
            return None
        raise


def outside(resource: str) -> Json:
    """Return an answer from outside /api/v1 that needs no key (`/health`), without sending it."""
    return sending.read(_ask_outside(_base(), resource))


def inside(answer: Json, name: str, kind: type[Any] = dict) -> Any:
    """Return what an answer carries under `name`; raises LagoUnavailable where it is not there or not of that kind."""
    found = answer.get(name)
    if not isinstance(found, kind):
        raise LagoUnavailable(f"Lago's answer has no {name}.")
    return found


def takes(key: str) -> bool:
    """Tell whether Lago takes one of our keys: the cheapest question, asked although the circuit may be open."""
    base = _ready_base(always=True)
    answer = _exchange(_Request("GET", base, "organizations", repeats=True, always=True), key)
    if answer.status == _WRONG_KEY:
        return False
    sending.read(answer)
    return True


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    base: str
    resource: str
    body: Json | None = None
    params: Params | None = None
    repeats: bool = False
    waits: bool = True
    always: bool = False


def _call(
    method: str,
    resource: str,
    *,
    body: Json | None = None,
    params: Params | None = None,
    repeats: bool,
    waits: bool = True,
    always: bool = False,
) -> Json:
    request = _Request(method, _ready_base(always=always), resource, body, params, repeats, waits, always)
    answer = _with_a_key_that_works(request)
    if answer.from_sandbox and _refuses_sandbox():
        raise LagoIsSandbox
    return sending.read(answer)


def _with_a_key_that_works(request: _Request) -> sending.Answer:
    """Ask with the key, and where Lago does not take it with the other one: a 401 did nothing."""
    first, *others = keys.every()
    answer = _exchange(request, first)
    for key in others if answer.status == _WRONG_KEY else ():
        second = _exchange(request, key)
        if second.status != _WRONG_KEY:
            keys.remember(key)
            return second
    return answer


def _exchange(request: _Request, key: str) -> sending.Answer:
    limits.wait(request.resource, sleeps=request.waits)
    with circuit.passing(request.resource, always=request.always) as passage:
        answer = sending.send(
            request.method,
            f"{request.base}/api/v1/{request.resource}",
            body=request.body,
            params=request.params or {},
            key=key,
            repeats=request.repeats,
            waits=request.waits,
        )
        if answer.is_failure:
            passage.failed(f"Lago answers {answer.status}.")
    limits.note(request.resource, answer.headers)
    return answer


def _ready_base(*, always: bool = False) -> str:
    base = _base()
    if _refuses_sandbox():
        _look_before_sending(os.getpid(), base, always)
    return base


def _base() -> str:
    """Return the configured address without /api/v1, with which it may come."""
    if not settings.LAGO_API_URL or not keys.every():
        raise LagoNotConfigured
    return str(settings.LAGO_API_URL).rstrip("/").removesuffix("/api/v1").rstrip("/")


def _refuses_sandbox() -> bool:
    return not settings.DEBUG and not settings.TESTING


@cache
def _look_before_sending(process: int, base: str, always: bool) -> None:  # noqa: FBT001 - part of a cache's key
    """Raise LagoIsSandbox where the address is our sandbox; once a process, before the key goes there.

    Through the circuit too: a process that starts while Lago hangs would wait for it before each request.
    """
    with circuit.passing("health", always=always):
        answer = _ask_outside(base, "health")
    if answer.from_sandbox:
        raise LagoIsSandbox


def _ask_outside(base: str, resource: str) -> sending.Answer:
    return sending.send("GET", f"{base}/{resource}", body=None, params={}, key="", repeats=True)


def _is_not_found(refusal: LagoRefused) -> bool:
    """Tell "there is no such thing" from "there is no such address", which proves nothing about the thing."""
    named = refusal.lago_code
    return refusal.http_status == 404 and named.endswith("_not_found") and named != _NO_SUCH_ADDRESS


def _next_page(meta: Any, number: int, rows: int) -> int:
    """Return the number of the next page, 0 after the last."""
    if not isinstance(meta, dict):
        if rows < PER_PAGE:
            return 0
        raise LagoUnavailable("Lago's list does not say whether it goes on.")
    following = int(meta.get("next_page") or 0)
    if following not in {0, number + 1}:
        raise LagoUnavailable("Lago's list goes on to another page than the next.")
    return following
