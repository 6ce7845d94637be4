"""Books in the admin: read-only."""

from django.contrib import admin

from credits.admin.searching import ORGANIZATION
from credits.models import Grant, Hold, LedgerEntry, Shortfall, UsageRecord
from kit.admin import ReadOnlyAdmin


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin[Grant]):
    list_display = ("organization", "source", "credits", "reason", "granted_by", "created_at")
    list_select_related = ("organization",)
    list_filter = ("source",)
    search_via = ORGANIZATION
    ordering = ("-pk",)


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


@admin.register(Shortfall)
class ShortfallAdmin(ReadOnlyAdmin[Shortfall]):
    list_display = ("organization", "charge_id", "amount", "settled", "forgiven", "created_at")
    list_select_related = ("organization",)
    search_via = ORGANIZATION
    ordering = ("-pk",)
