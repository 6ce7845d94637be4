"""`/metrics`: what Prometheus reads, from METRICS_ALLOWED_IPS or with a platform key (contract.md §3)."""

from typing import ClassVar, Final

from django.conf import settings
from django.http import HttpResponse
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry
from rest_framework.request import Request
from rest_framework.views import APIView

from kit.errors import PermissionDenied
from kit.rest.negotiation import OnlyJSON
from lago_sync.metrics import LagoCollector
from orgs.access import addresses, permissions
from orgs.access.authentication import KeyAuthentication
from orgs.models import AccessKey

REGISTRY: Final = CollectorRegistry()
REGISTRY.register(LagoCollector())


class Metrics(APIView):
    """Gives the metrics of the whole portal, whichever process answers; refusals are JSON in the one shape."""

    schema = None
    authentication_classes: ClassVar[list[type]] = [KeyAuthentication]  # type: ignore[misc]
    permission_classes: ClassVar[list[type]] = []  # type: ignore[misc]
    content_negotiation_class = OnlyJSON  # of refusals: Prometheus' Accept is for its own format

    def get(self, request: Request) -> HttpResponse:
        _require_allowed(request)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        answer = HttpResponse(encode(REGISTRY), content_type=content_type)
        answer["Cache-Control"] = "no-store"
        return answer


def _require_allowed(request: Request) -> None:
    """Raise Unauthorized for a stranger, PermissionDenied for a key that may not read across organizations."""
    address = addresses.client_address(request._request)  # noqa: SLF001 - DRF has no other way to Django's request
    if addresses.is_within(address, settings.METRICS_ALLOWED_IPS):
        return
    caller = permissions.caller_of(request)
    if caller.kind != AccessKey.Kind.PLATFORM or AccessKey.Scope.BILLING_READ not in caller.scopes:
        raise PermissionDenied("Metrics need a platform key with the scope billing:read.")
