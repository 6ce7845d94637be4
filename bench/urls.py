"""The portal's addresses, and the opponent's beside them: both behind the same middleware and the same key check."""

from django.urls import path

from bench.views import TextbookCharges
from billing_portal.urls import urlpatterns as portal_urls

urlpatterns = [path("api/v1/textbook/charges", TextbookCharges.as_view()), *portal_urls]
