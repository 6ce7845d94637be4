"""Pages about an organization itself, below `/orgs/<slug>/`."""

from django.urls import path

from orgs.views import audit

app_name = "orgs"

urlpatterns = [path("audit/", audit.index, name="audit")]
