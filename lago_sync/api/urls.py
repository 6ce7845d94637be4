"""Where `lago_sync` answers below `/api/v1/`; mounted once, in `billing_portal.api`."""

from django.urls import URLPattern, path

from lago_sync.api import purchases, subscriptions

_CREDITS = "org-billing/credits/<str:org_id>"

urlpatterns: list[URLPattern] = [
    path(f"{_CREDITS}/add", purchases.AddCredits.as_view()),
    path(f"{_CREDITS}/purchases", purchases.Purchases.as_view()),
    path(f"{_CREDITS}/purchases/<uuid:purchase_id>", purchases.PurchaseDetail.as_view()),
    path("org-billing/packages", purchases.Packages.as_view()),
    path("org-billing/subscriptions", subscriptions.Subscriptions.as_view()),
    path("org-billing/subscriptions/<str:org_id>", subscriptions.SubscriptionDetail.as_view()),
]
