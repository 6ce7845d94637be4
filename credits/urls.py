"""Pages about credits, below `/orgs/<slug>/`."""

from django.urls import path

from credits.views import allocations, usage

app_name = "credits"

urlpatterns = [
    path("usage/", usage.index, name="usage"),
    path("usage/<uuid:record_id>/", usage.record, name="usage-record"),
    path("allocations/", allocations.index, name="allocations"),
    path("allocations/allocate/", allocations.allocate, name="allocate"),
    path("allocations/<slug:user_id>/", allocations.member, name="allocation"),
    path("allocations/<slug:user_id>/revoke/", allocations.revoke, name="allocation-revoke"),
    path("allocations/<slug:user_id>/open-to-pool/", allocations.open_to_pool, name="allocation-open"),
]
