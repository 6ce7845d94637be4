"""Grants in the admin: what became of each, what was withdrawn, and those that wait for another admin."""

from datetime import datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from credits import amounts
from credits.admin.searching import ORGANIZATION
from credits.ledger import proposals
from credits.models import Grant, ProposedGrant, Withdrawal
from kit.admin import ReadOnlyAdmin
from orgs.admin.acts import actor


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin[Grant]):
    """What is left stands in the balance, as of the last burn."""

    list_display = (
        "organization",
        "source",
        "granted",
        "left",
        "consumed",
        "expired",
        "withdrawn",
        "expires",
        "paid",
        "reason",
        "created_at",
    )
    list_select_related = ("organization", "balance")
    list_filter = ("source",)
    search_via = ORGANIZATION
    ordering = ("-pk",)

    def granted(self, row: Grant) -> str:
        return amounts.display(row.credits)

    def left(self, row: Grant) -> str:
        return amounts.display(row.balance.left)

    def consumed(self, row: Grant) -> str:
        return amounts.display(row.balance.consumed)

    def expired(self, row: Grant) -> str:
        return amounts.display(row.balance.expired)

    def withdrawn(self, row: Grant) -> str:
        return amounts.display(row.balance.withdrawn)

    @admin.display(empty_value="never")
    def expires(self, row: Grant) -> datetime | None:
        return row.balance.expires_at

    @admin.display(description="paid (minor units)")
    def paid(self, row: Grant) -> str | None:
        return f"{row.paid_cents} {row.currency}" if row.paid_cents is not None else None


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnlyAdmin[Withdrawal]):
    list_display = (
        "organization",
        "grant",
        "credits",
        "withdrawn",
        "owed",
        "reference",
        "reason",
        "made_by",
        "created_at",
    )
    list_select_related = ("organization", "grant")
    search_via = ORGANIZATION
    ordering = ("-pk",)


@admin.register(ProposedGrant)
class ProposedGrantAdmin(ReadOnlyAdmin[ProposedGrant]):
    """Grants above the threshold: whoever proposed one, another decides."""

    list_display = (
        "organization",
        "source",
        "credits",
        "reason",
        "expires_at",
        "status",
        "proposed_by",
        "proposed_at",
        "decided_by",
    )
    list_select_related = ("organization",)
    list_filter = ("status", "source")
    search_via = ORGANIZATION
    ordering = ("-pk",)
    actions = ("approve", "decline")

    @admin.action(description="Approve: grant the credits (another admin than who proposed)")
    def approve(self, request: HttpRequest, chosen: QuerySet[ProposedGrant]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda row: proposals.approve(proposal_id=row.pk, by=by))

    @admin.action(description="Decline: nothing is granted (another admin than who proposed)")
    def decline(self, request: HttpRequest, chosen: QuerySet[ProposedGrant]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda row: proposals.decline(proposal_id=row.pk, by=by))
