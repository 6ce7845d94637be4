"""Every address of the portal, from the prefixes of contract.md §3 to the app that serves them."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from billing_portal import health, mailbox
from billing_portal.metrics import Metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("billing_portal.api")),  # first: gateways ask thousands of times a minute
    path("webhooks/", include("lago_sync.api.webhook_urls")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("inbox/", include("orgs.notices.urls")),
    path("orgs/<slug:slug>/", include("credits.urls")),
    path("orgs/<slug:slug>/", include("orgs.urls")),
    path("", include("lago_sync.urls")),
    path("", include("billing_portal.dashboards.urls")),
]

if settings.DEBUG:
    urlpatterns += [path("dev/mail/", mailbox.show, name="dev-mail")]
