"""The API of `orgs` alone."""

from django.urls import include, path

urlpatterns = [path("api/v1/", include("orgs.api.urls"))]
