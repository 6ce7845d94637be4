"""Pages about credits, below `/orgs/<slug>/`."""

from django.urls import path

from credits.views import (
    allocations,
    departments,
    importing,
    limits,
    many,
    proposals,
    reports,
    requests,
    standard,
    usage,
)

app_name = "credits"

urlpatterns = [
    path("usage/", usage.index, name="usage"),
    path("usage/<uuid:record_id>/", usage.record, name="usage-record"),
    path("allocations/", allocations.index, name="allocations"),
    path("allocations/allocate/", allocations.allocate, name="allocate"),
    path("allocations/many/", many.choose, name="allocate-many"),
    path("allocations/import/", importing.upload, name="import"),
    path("allocations/import/confirm/", importing.confirm, name="import-confirm"),
    path("allocations/import/example/", importing.example, name="import-example"),
    path("allocations/standard/", standard.index, name="standard"),
    path("allocations/standard/<slug:role>/remove/", standard.remove, name="standard-remove"),
    path("allocations/<slug:user_id>/", allocations.member, name="allocation"),
    path("allocations/<slug:user_id>/revoke/", allocations.revoke, name="allocation-revoke"),
    path("allocations/<slug:user_id>/open-to-pool/", allocations.open_to_pool, name="allocation-open"),
    path("requests/", requests.index, name="requests"),
    path("requests/<uuid:request_id>/decide/", requests.decide, name="request-decide"),
    path("requests/<uuid:request_id>/withdraw/", requests.withdraw, name="request-withdraw"),
    path("departments/", departments.index, name="departments"),
    path("departments/<slug:department_id>/", departments.department, name="department"),
    path("departments/<slug:department_id>/<slug:name>/", departments.act, name="department-act"),
    path("limits/", limits.index, name="limits"),
    path("limits/alert/", limits.alert, name="limits-alert"),
    path("limits/<uuid:budget_id>/", limits.budget, name="limit"),
    path("limits/<uuid:budget_id>/archive/", limits.archive, name="limit-archive"),
    path("reports/", reports.index, name="reports"),
    path("reports/idle/", reports.revoke, name="reports-idle"),
    path("reports/proposals/", proposals.index, name="proposals"),
    path("reports/<slug:name>/", reports.month, name="report"),
]
