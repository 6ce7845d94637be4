"""`TrackUsage`: each answered request of an API becomes one `api_call` at Lago. Put it behind authentication in MIDDLEWARE."""

import hashlib
import logging
from typing import ClassVar, Final

from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from kit.errors import DomainError
from kit.identifiers import uuid7
from lago_sync import callers
from lago_sync.callers import Asking
from lago_sync.functions import usage

logger = logging.getLogger(__name__)

_MOST_TOKENS: Final = 1_000_000_000
_LONGEST: Final = 200


class TrackUsage(MiddlewareMixin):
    """Record answers below 400 of requests with an organization, once each; sync and async.

    Tokens and model are what the view says in the answer's headers `X-Tokens-Used` and `X-Model-Used`. A request that
    is sent again with its Idempotency-Key (or X-Request-ID) is the same call. Nothing of it can make an answer fail:
    Lago is not asked, and what cannot be recorded is named in the log.
    """

    keys: ClassVar[tuple[str, ...]] = ("Idempotency-Key", "X-Request-ID")
    """Headers by which a client says that a request is the same one again; the first that is there counts."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code < 400:
            try:
                self._record(request, response)
            except (DomainError, Error) as error:
                logger.error("a call of %s is not recorded: %s", request.path, error)  # noqa: TRY400 - no trace is needed
        return response

    def _record(self, request: HttpRequest, response: HttpResponseBase) -> None:
        match = request.resolver_match
        asking = callers.of(request, match.kwargs if match is not None else {})
        if asking.organization is None:
            return
        usage.record_api_call(
            asking.organization.public_id,
            self._transaction_id(request, asking),
            _endpoint(request),
            user_id=asking.user_id,
            tokens=_tokens(response.headers.get("X-Tokens-Used", "")),
            model=response.headers.get("X-Model-Used", "")[:_LONGEST] or None,
        )

    def _transaction_id(self, request: HttpRequest, asking: Asking) -> str:
        """Return the same id for the same request of the same caller, else a new one."""
        key = next((request.headers[name] for name in self.keys if request.headers.get(name)), None)
        if key is None:
            return f"call_{uuid7().hex}"
        said = "\n".join((asking.principal, request.method or "", request.get_full_path(), key))
        return f"call_{hashlib.sha256(said.encode()).hexdigest()[:48]}"


def _endpoint(request: HttpRequest) -> str:
    """Return the path, or its pattern where ids or secrets stand in it."""
    match = request.resolver_match
    path = f"/{match.route}" if match is not None and (match.kwargs or match.args) else request.path
    return path[:_LONGEST]


def _tokens(given: str) -> int:
    """Return the tokens that a view names, 0 for what is no number of them."""
    if not given:
        return 0
    if given.isascii() and given.isdecimal() and len(given) <= 10 and int(given) <= _MOST_TOKENS:
        return int(given)
    logger.warning("X-Tokens-Used is no number of tokens: %.40r", given)
    return 0
