"""Where `credits` answers below `/api/v1/`; mounted once, in `billing_portal.api`."""

from django.urls import path

from credits.api import (
    budgets,
    credit_requests,
    departments,
    inquiries,
    movements,
    proposals,
    reports,
    sharing,
    usage,
)
from orgs.access import keys
from orgs.models import AccessKey


class HoldsPath(inquiries.OpenHolds, usage.Holds):
    """GET lists open holds, POST places one; only the latter may remember keys, since it reads them again."""

    def find_key(self, text: str) -> AccessKey | None:
        return super().find_key(text) if self.request.method == "POST" else keys.find(text)


urlpatterns = [
    path("usage/holds", HoldsPath.as_view()),
    path("usage/holds/<uuid:hold_id>", inquiries.HoldDetail.as_view()),
    path("usage/holds/<uuid:hold_id>/capture", usage.Capture.as_view()),
    path("usage/holds/<uuid:hold_id>/release", usage.Release.as_view()),
    path("usage/charges", usage.Charges.as_view()),
    path("usage/charges/batch", usage.ChargeBatch.as_view()),
    path("usage/charges/<uuid:charge_id>/reverse", inquiries.Reverse.as_view()),
    path("usage/check", inquiries.Check.as_view()),
    path("usage/estimate", inquiries.Estimate.as_view()),
    path("usage/keys/introspect", inquiries.Introspect.as_view()),
    path("org-billing/credits/<str:org_id>", sharing.Pool.as_view()),
    path("org-billing/credits/<str:org_id>/allocate", sharing.Allocate.as_view()),
    path("org-billing/credits/<str:org_id>/allocations", sharing.Allocations.as_view()),
    path("org-billing/credits/<str:org_id>/allocations/<str:user_id>", sharing.AllocationDetail.as_view()),
    path(
        "org-billing/credits/<str:org_id>/departments/<str:department_id>/transfer",
        departments.Transfer.as_view(),
    ),
    path("org-billing/credits/<str:org_id>/requests", credit_requests.CreditRequests.as_view()),
    path(
        "org-billing/credits/<str:org_id>/requests/<uuid:request_id>/approve",
        credit_requests.Approve.as_view(),
    ),
    path(
        "org-billing/credits/<str:org_id>/requests/<uuid:request_id>/decline",
        credit_requests.Decline.as_view(),
    ),
    path(
        "org-billing/credits/<str:org_id>/requests/<uuid:request_id>/withdraw",
        credit_requests.Withdraw.as_view(),
    ),
    path("org-billing/credits/<str:org_id>/budgets", budgets.Budgets.as_view()),
    path("org-billing/credits/<str:org_id>/budgets/<uuid:budget_id>", budgets.BudgetDetail.as_view()),
    path("org-billing/credits/<str:org_id>/proposals", proposals.Proposals.as_view()),
    path("org-billing/credits/<str:org_id>/proposals/apply", proposals.ApplyProposals.as_view()),
    path("org-billing/credits/<str:org_id>/usage", reports.Usage.as_view()),
    path("org-billing/credits/<str:org_id>/records", movements.Records.as_view()),
    path("org-billing/credits/<str:org_id>/ledger", movements.Ledger.as_view()),
    path("models", movements.Models.as_view()),
]
