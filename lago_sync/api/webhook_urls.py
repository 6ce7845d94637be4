"""Where `lago_sync` answers below `/webhooks/`; mounted once, in `billing_portal.urls`."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from kit.rest import errors
from lago_sync.api import webhooks


@csrf_exempt  # it changes nothing, and must answer in the API's shape
@login_not_required
def unknown(request: HttpRequest) -> JsonResponse:
    """Answer any other address below /webhooks/ in the API's own shape."""
    return errors.not_found(request)


urlpatterns = [
    path("lago", webhooks.Webhooks.as_view(), name="lago-webhooks"),
    path("lago/health", webhooks.Health.as_view(), name="lago-webhooks-health"),
    re_path(r"", unknown),
]
