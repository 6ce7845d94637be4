"""`Idempotency-Key` for writes outside /usage (contract.md §4): a repeat gets the first answer and moves nothing.

The key's row is inserted first, in the transaction of the effect, so a twin that comes at the same time waits on it.
A refusal rolls both back: nothing of it is remembered, and the same key may succeed later.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NoReturn

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from kit import transactions
from kit.errors import DomainError, InvalidRequest
from orgs.access import permissions
from orgs.models import IdempotentAnswer

_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
REMEMBERED_FOR: Final = timedelta(hours=24)

# A row older than the time it is remembered for is taken over as if it were not there; in one statement, so that of
# two who come at once one waits for the other.
_CLAIM: Final = """
INSERT INTO orgs_idempotentanswer AS known (principal, method, path, key, body_digest, created_at)
VALUES (%(principal)s, %(method)s, %(path)s, %(key)s, %(digest)s, %(now)s)
ON CONFLICT (principal, method, path, key) DO UPDATE
  SET body_digest = excluded.body_digest, created_at = excluded.created_at, status = NULL, body = NULL
  WHERE known.created_at < %(oldest)s
RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who sends what where, under which key; equal `content` is the same attempt."""

    principal: str
    method: str
    path: str
    key: str
    content: Any


class IdempotencyConflict(DomainError):
    """The key came before with another body."""

    code = "idempotency_conflict"
    status = 409

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another body.")


class _NotRemembered(Exception):
    """The key has no answer yet; undoes its claim."""


def once(request: Request, run: Callable[[], tuple[int, Any]], *, secret: str = "") -> Response:
    """Answer with what `run` returns, (status, body), run in one durable transaction; once per `Idempotency-Key`.

    The field `secret` of the body is not kept: a repeat finds null there.
    Raises InvalidRequest for a key that is none, IdempotencyConflict for one that came with another body.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        with transactions.durable():
            status, body = run()
            return Response(body, status=status)
    attempt = Attempt(
        principal=permissions.caller_of(request).principal,
        method=request.method or "",
        path=request.path,
        key=key,
        content=request.data,
    )
    status, body, is_replay = once_for(attempt, run, secret=secret)
    return Response(body, status=status, headers={"Idempotent-Replayed": "true"} if is_replay else None)


def remembered(request: Request) -> Response | None:
    """Return the answer to an earlier request with this key, None where there is none; claims nothing.

    For what asks another system: no transaction may be open meanwhile, so it looks here first and calls `once` last.
    """
    if "Idempotency-Key" not in request.headers:
        return None
    try:
        return once(request, _give_back)
    except _NotRemembered:
        return None


def once_for(
    attempt: Attempt, run: Callable[[], tuple[int, Any]], *, secret: str = ""
) -> tuple[int, Any, bool]:
    """Return (status, body, whether it is a repeat) of `run`, which runs in one durable transaction, once per attempt.

    For edges that carry the key elsewhere than in a header, such as a form. Raises like `once`.
    """
    check_key(attempt.key)
    with transactions.durable():
        return _claimed(attempt, run, secret)


def check_key(key: str) -> None:
    """Raise InvalidRequest (400) for what is no key."""
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest("An Idempotency-Key has 1 to 128 printable ASCII characters.")


def forget_old() -> int:
    """Delete answers past their time; returns how many."""
    deleted, _ = IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - REMEMBERED_FOR).delete()
    return deleted


def _give_back() -> NoReturn:
    raise _NotRemembered


def _claimed(attempt: Attempt, run: Callable[[], tuple[int, Any]], secret: str) -> tuple[int, Any, bool]:
    scope = {
        "principal": attempt.principal,
        "method": attempt.method,
        "path": attempt.path[:255],
        "key": attempt.key,
    }
    digest, now = _digest(attempt.content), timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {**scope, "digest": digest, "now": now, "oldest": now - REMEMBERED_FOR})
        row = cursor.fetchone()
    if row is None:
        return _replayed(IdempotentAnswer.objects.get(**scope), digest)
    status, body = run()
    plain = json.loads(json.dumps(body, cls=DjangoJSONEncoder))
    kept = plain | {secret: None} if secret else plain
    IdempotentAnswer.objects.filter(pk=row[0]).update(status=status, body=kept)
    return status, plain, False


def _replayed(known: IdempotentAnswer, digest: str) -> tuple[int, Any, bool]:
    if known.body_digest != digest or known.status is None:
        raise IdempotencyConflict
    return known.status, known.body, True


def _digest(body: Any) -> str:
    """Return the digest of the parsed body, so that spaces and the order of names do not count."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
