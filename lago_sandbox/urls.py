"""Where everything is: Lago's API, the control plane, the pages."""

from django.urls import include, path, re_path
from django.urls.resolvers import URLPattern, URLResolver

from lago_sandbox import control, pages
from lago_sandbox.api import (
    catalogue,
    customers,
    events,
    invoices,
    organization,
    payment_methods,
    subscriptions,
    usage,
    wallets,
)
from lago_sandbox.api.routing import health, not_found, resource

api: list[URLPattern | URLResolver] = [
    path("organizations", resource(GET=organization.show, PUT=organization.update)),
    path("customers", resource(GET=customers.index, POST=customers.upsert)),
    path("customers/<str:external_id>/checkout_url", resource(POST=customers.checkout_url)),
    path("customers/<str:external_id>/current_usage", resource(GET=usage.current)),
    path("customers/<str:external_id>/subscriptions", resource(GET=subscriptions.index_of_customer)),
    path("customers/<str:external_id>/invoices", resource(GET=invoices.index_of_customer)),
    path("customers/<str:external_id>/credit_notes", resource(GET=invoices.index_credit_notes)),
    path("customers/<str:external_id>/wallets", resource(GET=wallets.index, POST=wallets.create)),
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
    path("wallets/<uuid:lago_id>/wallet_transactions", resource(GET=wallets.index_transactions)),
    path("wallet_transactions", resource(POST=wallets.top_up)),
    path("wallet_transactions/<uuid:lago_id>", resource(GET=wallets.show_transaction)),
    path("wallet_transactions/<uuid:lago_id>/payment_url", resource(POST=wallets.payment_url)),
    path("invoices", resource(GET=invoices.index)),
    path("invoices/<uuid:lago_id>", resource(GET=invoices.show, PUT=invoices.update)),
    path("invoices/<uuid:lago_id>/download", resource(POST=invoices.download)),
    path("invoices/<uuid:lago_id>/download_pdf", resource(POST=invoices.download)),
    path("invoices/<uuid:lago_id>/void", resource(POST=invoices.void)),
    path("invoices/<uuid:lago_id>/payment_url", resource(POST=invoices.payment_url)),
    path("invoices/<uuid:lago_id>/retry_payment", resource(POST=invoices.retry_payment)),
    path("credit_notes", resource(GET=invoices.index_credit_notes)),
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
    path("webhooks/json_public_key", resource(GET=organization.json_public_key)),
    re_path("", not_found),
]

plane: list[URLPattern | URLResolver] = [
    path("clock", control.endpoint(control.move_clock, reads=control.read_clock)),
    path("pay", control.endpoint(control.pay)),
    path("decline", control.endpoint(control.decline)),
    path("faults", control.endpoint(control.plan_faults, reads=control.read_faults)),
    path("settings", control.endpoint(control.turn_settings, reads=control.read_settings)),
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
    path("invoices/<uuid:lago_id>/<str:action>", pages.act, name="act"),
    path("files/<uuid:lago_id>.pdf", pages.file),
    path("static/sandbox.css", pages.style, name="style"),
    path("", pages.home, name="home"),
]
