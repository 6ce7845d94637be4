"""Pages of buying, plans, invoices and payment methods; mounted once, in `billing_portal.urls`."""

from typing import Final

from django.urls import URLPattern, URLResolver, include, path

from lago_sync.views import buying

_ORGANIZATION: Final = "orgs/<slug:slug>"

_purchases: list[URLPattern] = [
    path(f"{_ORGANIZATION}/credits/buy/", buying.shop, name="buy"),
    path(f"{_ORGANIZATION}/credits/buy/confirm/", buying.confirm, name="confirm"),
    path(f"{_ORGANIZATION}/credits/buy/<uuid:purchase_id>/", buying.purchase, name="purchase"),
    path("billing/returned/", buying.returned, name="returned"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_purchases, "purchases"))),
]
