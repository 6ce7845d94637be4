"""Where notices answer below /api/v1/; mounted once, in `billing_portal.api`."""

from django.urls import path

from orgs.notices import api

urlpatterns = [
    path("inbox", api.Inbox.as_view(), name="inbox"),
    path("inbox/read", api.Read.as_view(), name="inbox-read"),
    path("inbox/preferences", api.Preferences.as_view(), name="inbox-preferences"),
]
