"""Where the API spans apps; mounted once, in `billing_portal.api`."""

from django.urls import path

from billing_portal.dashboards import rest

urlpatterns = [
    path("org-billing/billing/system", rest.SystemBilling.as_view()),
]
