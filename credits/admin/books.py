"""Books in the admin: read-only."""

from decimal import Decimal
from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits import amounts
from credits.admin.acting import Act, ActingAdmin
from credits.admin.searching import ORGANIZATION
from credits.ledger import forgiveness
from credits.models import AllocationReset, Hold, LedgerEntry, Shortfall, UsageRecord, Verification
from kit.admin import ReadOnlyAdmin
from orgs.admin.acts import actor

_FORGIVE: Final = Act(
    action="forgive",
    title="Forgive shortfalls",
    explanation="Cancels what is still owed. No credits move; a later reversal of the charge does not give this part back.",
    button="Forgive",
)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin[Hold]):
    list_display = (
        "id",
        "organization",
        "user",
        "status",
        "credits",
        "service",
        "model",
        "created_at",
        "expires_at",
    )
    list_select_related = ("organization", "user")
    list_filter = ("status", "byok")
    search_via = ORGANIZATION
    ordering = ("-pk",)


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin[UsageRecord]):
    list_display = (
        "id",
        "organization",
        "user",
        "kind",
        "credits",
        "shortfall",
        "service",
        "model",
        "created_at",
    )
    list_select_related = ("organization", "user")
    list_filter = ("kind", "late", "unpriced", "byok")
    search_via = ORGANIZATION
    ordering = ("-pk",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin[LedgerEntry]):
    list_display = ("id", "organization", "kind", "amount", "reason", "made_by", "created_at")
    list_select_related = ("organization",)
    list_filter = ("kind",)
    search_via = ORGANIZATION
    ordering = ("-pk",)


@admin.register(AllocationReset)
class AllocationResetAdmin(ReadOnlyAdmin[AllocationReset]):
    list_display = (
        "allocation",
        "organization",
        "due_at",
        "amount",
        "used",
        "topped_up",
        "returned",
        "short",
    )
    list_select_related = ("organization", "allocation")
    search_via = ORGANIZATION
    ordering = ("-pk",)


@admin.register(Shortfall)
class ShortfallAdmin(ActingAdmin[Shortfall]):
    list_display = ("organization", "charge_id", "amount", "settled", "forgiven", "open", "created_at")
    list_select_related = ("organization",)
    search_via = ORGANIZATION
    ordering = ("-pk",)
    actions = ("forgive",)

    def open(self, row: Shortfall) -> Decimal:
        return row.amount - row.settled - row.forgiven

    @admin.action(description="Forgive what is owed (with a reason)")
    def forgive(self, request: HttpRequest, chosen: QuerySet[Shortfall]) -> HttpResponse:
        """Ask why, then forgive each; one that owes nothing any more is left as it is."""
        by = actor(request)
        return self.ask_and_do(
            request,
            _FORGIVE,
            chosen.select_related("organization"),
            lambda row, asked: forgiveness.forgive(charge_id=row.charge_id, reason=asked["reason"], by=by),
            names=lambda row: (
                f"{row.organization}: {amounts.display(self.open(row))} credits of charge {row.charge_id}"
            ),
        )


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin[Verification]):
    """When the laws of the ledger were proved, and what was found."""

    list_display = ("finished_at", "started_at", "organizations", "laws", "violations")
    ordering = ("-pk",)
