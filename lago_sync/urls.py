"""Pages of buying, plans, invoices and payment methods; mounted once, in `billing_portal.urls`."""

from typing import Final

from django.urls import URLPattern, URLResolver, include, path

from lago_sync.views import buying, invoices, methods, plans, topups

_ORGANIZATION: Final = "orgs/<slug:slug>"

_purchases: list[URLPattern] = [
    path(f"{_ORGANIZATION}/credits/buy/", buying.shop, name="buy"),
    path(f"{_ORGANIZATION}/credits/buy/confirm/", buying.confirm, name="confirm"),
    path(f"{_ORGANIZATION}/credits/buy/<uuid:purchase_id>/", buying.purchase, name="purchase"),
    path(f"{_ORGANIZATION}/credits/buy/<uuid:purchase_id>/abandon/", buying.abandon, name="abandon"),
    path("billing/returned/", buying.returned, name="returned"),
]

_invoices: list[URLPattern] = [
    path(f"{_ORGANIZATION}/invoices/", invoices.index, name="list"),
    path(f"{_ORGANIZATION}/invoices/<uuid:invoice_id>/", invoices.invoice, name="invoice"),
    path(f"{_ORGANIZATION}/invoices/<uuid:invoice_id>/pdf/", invoices.document, name="document"),
    path(f"{_ORGANIZATION}/invoices/<uuid:invoice_id>/pay/", invoices.pay, name="pay"),
    path(f"{_ORGANIZATION}/invoices/<uuid:invoice_id>/retry/", invoices.retry, name="retry"),
    path(f"{_ORGANIZATION}/invoices/<uuid:invoice_id>/send/", invoices.send, name="send"),
]

_plans: list[URLPattern] = [
    path(f"{_ORGANIZATION}/plan/", plans.plan, name="plan"),
    path(f"{_ORGANIZATION}/plan/change/", plans.change, name="change"),
    path(f"{_ORGANIZATION}/plan/cancel/", plans.cancel, name="cancel"),
    path(f"{_ORGANIZATION}/plan/take-back/", plans.take_back, name="take_back"),
]

_methods: list[URLPattern] = [
    path(f"{_ORGANIZATION}/payment-methods/", methods.index, name="list"),
    path(f"{_ORGANIZATION}/payment-methods/store/", methods.store, name="store"),
    path(f"{_ORGANIZATION}/payment-methods/refresh/", methods.refresh, name="refresh"),
    path(f"{_ORGANIZATION}/payment-methods/<uuid:method_id>/default/", methods.make_default, name="default"),
    path(f"{_ORGANIZATION}/payment-methods/<uuid:method_id>/remove/", methods.remove, name="remove"),
    path(f"{_ORGANIZATION}/limits/auto-top-up/", topups.index, name="auto-top-up"),
    path(f"{_ORGANIZATION}/limits/auto-top-up/off/", topups.turn_off, name="auto-top-up-off"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_purchases, "purchases"))),
    path("", include((_methods, "methods"))),
    path("", include((_plans, "plans"))),
    path("", include((_invoices, "invoices"))),
]
