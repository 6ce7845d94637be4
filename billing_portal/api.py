"""The REST API: mounts what each app serves, and the documents that describe it. No rules here."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import include, path, re_path, resolve
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from kit.rest import errors


@csrf_exempt  # it changes nothing, and must answer in the API's shape
@login_not_required
def unknown(request: HttpRequest) -> JsonResponse:
    """Answer any other address below /api/ in the API's own shape."""
    return errors.not_found(request)


@csrf_exempt  # the view that answers sees to it
@login_not_required
def lago(request: HttpRequest, rest: str) -> HttpResponseBase:
    """Answer /api/lago/…, the path of the neosaas integration, as /api/v1/lago/… does."""
    found = resolve(f"/api/v1/lago/{rest}")
    answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
    return answer


urlpatterns = [
    path("v1/", include("credits.api.urls")),
    path("v1/", include("orgs.api.urls")),
    path("v1/", include("orgs.notices.api_urls")),
    path("v1/", include("lago_sync.api.urls")),
    path("v1/", include("billing_portal.dashboards.api_urls")),
    path("lago/<path:rest>", lago),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"", unknown),
]
