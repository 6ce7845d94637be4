"""Where everything is: Lago's API, the control plane, the pages."""

from django.urls import include, path, re_path
from django.urls.resolvers import URLPattern, URLResolver

from lago_sandbox import control, pages
from lago_sandbox.api import (
    alerts,
    analytics,
    catalogue,
    customers,
    events,
    features,
    invoices,
    organization,
    payment_methods,
    payments,
    subscriptions,
    usage,
    wallet_transactions,
    wallets,
)
from lago_sandbox.api.routing import health, not_found, premium, resource

api: list[URLPattern | URLResolver] = [
    path("organizations", resource(GET=organization.show, PUT=organization.update)),
    path("customers", resource(GET=customers.index, POST=customers.upsert)),
    path("customers/<str:external_id>/checkout_url", resource(POST=customers.checkout_url)),
    path("customers/<str:external_id>/portal_url", resource(GET=customers.portal_url)),
    path("customers/<str:external_id>/past_usage", resource(GET=usage.past)),
    path("customers/<str:external_id>/projected_usage", resource(GET=premium)),
    path("customers/<str:external_id>/current_usage", resource(GET=usage.current)),
    path("customers/<str:external_id>/subscriptions", resource(GET=subscriptions.index_of_customer)),
    path("customers/<str:external_id>/invoices", resource(GET=invoices.index_of_customer)),
    path("customers/<str:external_id>/credit_notes", resource(GET=invoices.index_credit_notes)),
    path("customers/<str:external_id>/wallets", resource(GET=wallets.index, POST=wallets.create)),
    path("customers/<str:external_id>/payments", resource(GET=payments.index)),
    path("customers/<str:external_id>/payment_methods", resource(GET=payment_methods.index)),
    path(
        "customers/<str:external_id>/payment_methods/<uuid:lago_id>", resource(DELETE=payment_methods.delete)
    ),
    path(
        "customers/<str:external_id>/payment_methods/<uuid:lago_id>/set_as_default",
        resource(PUT=payment_methods.set_as_default),
    ),
    path("customers/<str:external_id>", resource(GET=customers.show, DELETE=customers.delete)),
    path("billable_metrics", resource(GET=catalogue.index_metrics, POST=catalogue.create_metric)),
    path(
        "billable_metrics/<path:code>",
        resource(GET=catalogue.show_metric, PUT=catalogue.update_metric, DELETE=catalogue.delete_metric),
    ),
    path("plans", resource(GET=catalogue.index_plans, POST=catalogue.create_plan)),
    path(
        "plans/<str:code>/entitlements",
        resource(GET=features.of_plan, POST=features.set_of_plan, PATCH=features.set_of_plan),
    ),
    path("subscriptions/<str:external_id>/alerts", resource(GET=alerts.index, POST=alerts.create)),
    path(
        "subscriptions/<str:external_id>/alerts/<str:code>",
        resource(GET=alerts.show, PUT=alerts.update, DELETE=alerts.delete),
    ),
    path(
        "customers/<str:external_id>/wallets/<str:wallet_code>/alerts",
        resource(GET=alerts.index, POST=alerts.create),
    ),
    path(
        "customers/<str:external_id>/wallets/<str:wallet_code>/alerts/<str:code>",
        resource(GET=alerts.show, PUT=alerts.update, DELETE=alerts.delete),
    ),
    path("features", resource(GET=features.index, POST=features.create)),
    path(
        "features/<path:code>",
        resource(GET=features.show, PUT=features.update, DELETE=features.delete),
    ),
    path(
        "subscriptions/<str:external_id>/entitlements",
        resource(GET=features.of_subscription, PATCH=features.change_of_subscription),
    ),
    path(
        "subscriptions/<str:external_id>/entitlements/<str:feature_code>",
        resource(DELETE=features.remove_of_subscription),
    ),
    path("analytics/gross_revenue", resource(GET=analytics.gross_revenue)),
    path("analytics/overdue_balance", resource(GET=analytics.overdue_balance)),
    path("analytics/mrr", resource(GET=analytics.mrr)),
    path("analytics/invoice_collection", resource(GET=analytics.invoice_collection)),
    path("analytics/invoiced_usage", resource(GET=analytics.invoiced_usage)),
    path("payment_requests", resource(POST=premium)),
    path("credit_notes/estimate", resource(POST=premium)),
    path("invoices/preview", resource(POST=premium)),
    path(
        "plans/<path:code>",
        resource(GET=catalogue.show_plan, PUT=catalogue.update_plan, DELETE=catalogue.delete_plan),
    ),
    path("subscriptions", resource(GET=subscriptions.index, POST=subscriptions.create)),
    path(
        "subscriptions/<str:external_id>",
        resource(GET=subscriptions.show, PUT=subscriptions.update, DELETE=subscriptions.delete),
    ),
    path("events", resource(GET=events.index, POST=events.create)),
    path("events/batch", resource(POST=events.create_batch)),
    path("events/estimate_fees", resource(POST=events.estimate_fees)),
    path("events/<path:transaction_id>", resource(GET=events.show)),
    path("wallets", resource(GET=wallets.index, POST=wallets.create)),
    path("wallets/<uuid:lago_id>", resource(GET=wallets.show, PUT=wallets.update, DELETE=wallets.delete)),
    path("wallets/<uuid:lago_id>/wallet_transactions", resource(GET=wallet_transactions.index)),
    path("wallet_transactions", resource(POST=wallet_transactions.create)),
    path("wallet_transactions/<uuid:lago_id>", resource(GET=wallet_transactions.show)),
    path("wallet_transactions/<uuid:lago_id>/payment_url", resource(POST=wallet_transactions.payment_url)),
    path("invoices", resource(GET=invoices.index)),
    path("invoices/<uuid:lago_id>", resource(GET=invoices.show, PUT=invoices.update)),
    path("invoices/<uuid:lago_id>/download", resource(POST=invoices.download)),
    path("invoices/<uuid:lago_id>/download_pdf", resource(POST=invoices.download)),
    path("invoices/<uuid:lago_id>/finalize", resource(PUT=invoices.finalize)),
    path("invoices/<uuid:lago_id>/refresh", resource(PUT=invoices.refresh)),
    path("invoices/<uuid:lago_id>/retry", resource(POST=invoices.retry)),
    path("invoices/<uuid:lago_id>/void", resource(POST=invoices.void)),
    path("invoices/<uuid:lago_id>/lose_dispute", resource(POST=invoices.lose_dispute)),
    path("invoices/<uuid:lago_id>/payment_url", resource(POST=invoices.payment_url)),
    path("invoices/<uuid:lago_id>/retry_payment", resource(POST=invoices.retry_payment)),
    path("payments", resource(GET=payments.index, POST=payments.create)),
    path("payments/<uuid:lago_id>", resource(GET=payments.show)),
    path("credit_notes", resource(GET=invoices.index_credit_notes, POST=premium)),
    path("credit_notes/<uuid:lago_id>/void", resource(PUT=invoices.void_credit_note)),
    path("credit_notes/<uuid:lago_id>", resource(GET=invoices.show_credit_note)),
    path("webhook_endpoints", resource(GET=organization.index_endpoints, POST=organization.create_endpoint)),
    path(
        "webhook_endpoints/<uuid:lago_id>",
        resource(
            GET=organization.show_endpoint,
            PUT=organization.update_endpoint,
            DELETE=organization.delete_endpoint,
        ),
    ),
    path("webhooks/public_key", resource(GET=organization.public_key)),
    path("webhooks/json_public_key", resource(GET=organization.json_public_key)),
    re_path("", not_found),
]

plane: list[URLPattern | URLResolver] = [
    path("clock", control.endpoint(control.move_clock, reads=control.read_clock)),
    path("pay", control.endpoint(control.pay)),
    path("decline", control.endpoint(control.decline)),
    path("void", control.endpoint(control.void)),
    path("lose_dispute", control.endpoint(control.lose_dispute)),
    path("faults", control.endpoint(control.plan_faults, reads=control.read_faults)),
    path("settings", control.endpoint(control.turn_settings, reads=control.read_settings)),
    path("keys", control.endpoint(control.change_keys, reads=control.read_keys)),
    path("webhooks/flush", control.endpoint(control.flush)),
    path("dump", control.endpoint(control.dump, reads=control.dump)),
    path("reset", control.endpoint(control.reset)),
    path("drain", control.endpoint(control.drain)),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api)),
    path("sandbox/", include(plane)),
    path("health", health),
    path("pay/<str:token>", pages.pay, name="pay"),
    path("checkout/<str:token>", pages.checkout, name="checkout"),
    path("clock", pages.move_clock, name="clock"),
    path("invoices/<uuid:lago_id>/<str:action>", pages.act, name="act"),
    path("files/<uuid:lago_id>.pdf", pages.file),
    path("static/sandbox.css", pages.style, name="style"),
    path("", pages.home, name="home"),
]
