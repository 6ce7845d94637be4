"""Where `lago_sync` answers below `/api/v1/`; mounted once, in `billing_portal.api`."""

from django.urls import URLPattern, path

from lago_sync.api import auto_top_ups, invoices, lago, payment_methods, purchases, subscriptions

_CREDITS = "org-billing/credits/<str:org_id>"
_INVOICES = "org-billing/billing/invoices/<str:org_id>"

urlpatterns: list[URLPattern] = [
    path(f"{_CREDITS}/add", purchases.AddCredits.as_view()),
    path(f"{_CREDITS}/purchases", purchases.Purchases.as_view()),
    path(f"{_CREDITS}/purchases/<uuid:purchase_id>", purchases.PurchaseDetail.as_view()),
    path(f"{_CREDITS}/purchases/<uuid:purchase_id>/abandon", purchases.AbandonPurchase.as_view()),
    path(f"{_CREDITS}/auto-top-up", auto_top_ups.AutoTopUps.as_view()),
    path("org-billing/billing/payment-methods/<str:org_id>", payment_methods.PaymentMethods.as_view()),
    path("org-billing/packages", purchases.Packages.as_view()),
    path("org-billing/subscriptions", subscriptions.Subscriptions.as_view()),
    path("org-billing/subscriptions/<str:org_id>", subscriptions.SubscriptionDetail.as_view()),
    path("org-billing/subscriptions/<str:org_id>/upgrade", subscriptions.ChangePlan.as_view()),
    path("org-billing/subscriptions/<str:org_id>/preview", subscriptions.PreviewPlan.as_view()),
    path("org-billing/subscriptions/<str:org_id>/pending", subscriptions.TakeBack.as_view()),
    path(_INVOICES, invoices.Invoices.as_view()),
    path(f"{_INVOICES}/<uuid:invoice_id>", invoices.InvoiceDetail.as_view()),
    path(f"{_INVOICES}/<uuid:invoice_id>/pdf", invoices.InvoiceDocument.as_view()),
    path(f"{_INVOICES}/<uuid:invoice_id>/retry", invoices.InvoiceRetry.as_view()),
    path(f"{_INVOICES}/<uuid:invoice_id>/send", invoices.InvoiceSend.as_view()),
    path("lago/customers", lago.LagoCustomers.as_view()),
    path("lago/wallets", lago.LagoWallets.as_view()),
    path("lago/usage", lago.LagoUsage.as_view()),
    path("lago/invoices", lago.LagoInvoices.as_view()),
    path("lago/subscriptions", lago.LagoSubscriptions.as_view()),
]
