"""What Lago calls: `POST /webhooks/lago`, and what tells whether it can (contract.md §4.3). Outside `/api/v1/`."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit import transactions
from kit.errors import Unauthorized
from lago_sync import tasks
from lago_sync.client import circuit
from lago_sync.inbox import handling, receiving, signing
from orgs.access import addresses


class Webhooks(APIView):
    """Takes messages of Lago: stored first, answered at once, handled afterwards. Who may is told by the signature."""

    schema = None
    authentication_classes: ClassVar[list[type]] = []  # type: ignore[misc]
    permission_classes: ClassVar[list[type]] = []  # type: ignore[misc]

    def post(self, request: Request) -> Response:
        _check_address(request)
        receiving.check_size(_declared_size(request))
        with transactions.durable():
            message = receiving.receive(body=request.body, headers=request.headers, now=timezone.now())
            if message is not None:
                transaction.on_commit(lambda: tasks.enqueue_webhook(message.pk))
        return Response({"status": "stored"})


class Health(APIView):
    """Tells anybody whether webhooks can come and do; names nothing and nobody."""

    schema = None
    authentication_classes: ClassVar[list[type]] = []  # type: ignore[misc]
    permission_classes: ClassVar[list[type]] = []  # type: ignore[misc]

    def get(self, request: Request) -> Response:
        standing = handling.standing()
        return Response(
            {
                "status": "ok" if signing.is_configured() else "not_configured",
                "signature": signing.algorithm(),
                "last_received_at": _text(standing.last_received_at),
                "oldest_waiting_at": _text(standing.oldest_waiting_at),
                "waiting": standing.waiting,
                "dead": standing.dead,
                "lago": "away" if circuit.standing().is_open else "ok",
            }
        )


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _declared_size(request: Request) -> int:
    """Return how many bytes are to come, so that too many are refused unread; what was read is measured again."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    return int(declared) if declared.isdecimal() else 0


def _check_address(request: Request) -> None:
    """Raise Unauthorized for an address outside LAGO_WEBHOOK_ALLOWED_IPS, where that names any."""
    allowed = settings.LAGO_WEBHOOK_ALLOWED_IPS
    if allowed and not addresses.is_within(addresses.client_address(request._request), allowed):  # noqa: SLF001 - DRF's way to the request below
        raise Unauthorized("Webhooks are not taken from this address.")
