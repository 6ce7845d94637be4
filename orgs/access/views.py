"""The base of every API view of the portal: who may call, what is read, in which order it is refused."""

from typing import ClassVar

from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from kit.rest.parsing import StrictJSONParser
from orgs.access.authentication import KeyAuthentication, SessionAuthentication, UsageKeyAuthentication
from orgs.access.permissions import HasScope


class PortalView(APIView):
    """A view of the API: a key or a session, the scope in `required_scopes`, strict JSON both ways."""

    authentication_classes = [KeyAuthentication, SessionAuthentication]
    permission_classes = [HasScope]
    parser_classes = [StrictJSONParser]
    renderer_classes = [JSONRenderer]
    required_scopes: ClassVar[dict[str, str] | str | None] = None


class UsageView(PortalView):
    """A view of the hot path: keys are known from this process's memory, so it must end in `charging.settle()`."""

    authentication_classes = [UsageKeyAuthentication, SessionAuthentication]
