"""Where `lago_sync` answers below `/api/v1/`; mounted once, in `billing_portal.api`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
