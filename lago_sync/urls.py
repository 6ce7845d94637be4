"""Pages of buying; mounted once, in `billing_portal.urls`."""

from django.urls import path

from lago_sync.views import buying

app_name = "purchases"

urlpatterns = [
    path("orgs/<slug:slug>/credits/buy/", buying.shop, name="buy"),
    path("orgs/<slug:slug>/credits/buy/confirm/", buying.confirm, name="confirm"),
    path("orgs/<slug:slug>/credits/buy/<uuid:purchase_id>/", buying.purchase, name="purchase"),
    path("billing/returned/", buying.returned, name="returned"),
]
