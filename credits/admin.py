"""Admin pages of the ledger: books are read-only; credits enter by an action with a reason, never by a form field."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from credits import amounts
from credits.ledger import grants
from credits.models import Allocation, CreditPool, Grant, Hold, LedgerEntry, Price, Shortfall, UsageRecord
from credits.sharing import allocations
from kit.admin import ReadOnlyAdmin, StaffAdmin
from orgs.admin.acts import actor
from orgs.audit import events
from orgs.audit.models import PLATFORM

_ORGANIZATION: Any = {"organization": ("public_id__exact", "slug__startswith")}
_WHOSE: Any = {**_ORGANIZATION, "user": ("public_id__exact", "email__startswith")}


class GrantForm(forms.Form):
    """What staff grant. `reference` is made with the form, so that a second click grants nothing."""

    credits = forms.DecimalField(
        min_value=amounts.STEP,
        max_value=amounts.LARGEST_REQUEST,
        max_digits=16,
        decimal_places=amounts.PLACES,
    )
    source = forms.ChoiceField(
        choices=[
            (one.value, one.label)
            for one in (Grant.Source.GOODWILL, Grant.Source.PROMOTION, Grant.Source.ADJUSTMENT)
        ]
    )
    reason = forms.CharField(max_length=500, help_text="Kept with the grant and in the audit log.")
    reference = forms.CharField(max_length=64, widget=forms.HiddenInput)


@admin.register(CreditPool)
class CreditPoolAdmin(ReadOnlyAdmin[CreditPool]):
    list_display = ("organization", "department", "available", "held", "spent", "overdraft_limit")
    list_select_related = ("organization", "department")
    list_filter = (("department", admin.EmptyFieldListFilter),)
    search_via = _ORGANIZATION
    ordering = ("-pk",)
    actions = ("grant_credits",)

    @admin.action(description="Grant credits (with a reason)")
    def grant_credits(self, request: HttpRequest, chosen: QuerySet[CreditPool]) -> HttpResponse | None:
        """Ask how many and why, then grant to the organization of each chosen pool."""
        pools = chosen.select_related("organization").filter(department__isnull=True)
        if not pools:
            self.message_user(request, "Choose pools of organizations: credits enter there.", messages.ERROR)
            return None
        form = (
            GrantForm(request.POST)
            if "apply" in request.POST
            else GrantForm(initial={"reference": uuid4().hex})
        )
        if not form.is_bound or not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": "Grant credits",
                "form": form,
                "pools": pools,
                "opts": self.model._meta,  # noqa: SLF001 - what admin templates ask for
            }
            return TemplateResponse(
                request, "admin/credits/grant.html", context, status=422 if form.is_bound else 200
            )
        self.each(request, pools, lambda pool: _grant(request, pool, form.cleaned_data))
        return HttpResponseRedirect(request.get_full_path())


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin[Allocation]):
    list_display = ("user", "organization", "pool", "remaining", "held", "used", "is_limited", "closed_at")
    list_select_related = ("user", "organization", "pool")
    list_filter = ("is_limited", ("closed_at", admin.EmptyFieldListFilter))
    search_via = _WHOSE
    ordering = ("-pk",)
    actions = ("revoke",)

    @admin.action(description="Revoke: unspent credits return to the pool")
    def revoke(self, request: HttpRequest, chosen: QuerySet[Allocation]) -> None:
        by = actor(request)
        rows = chosen.select_related("organization", "user")
        self.each(
            request, rows, lambda row: allocations.revoke(organization=row.organization, user=row.user, by=by)
        )


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin[Grant]):
    list_display = ("organization", "source", "credits", "reason", "granted_by", "created_at")
    list_select_related = ("organization",)
    list_filter = ("source",)
    search_via = _ORGANIZATION
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
    search_via = _ORGANIZATION
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
    search_via = _ORGANIZATION
    ordering = ("-pk",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin[LedgerEntry]):
    list_display = ("id", "organization", "kind", "amount", "reason", "made_by", "created_at")
    list_select_related = ("organization",)
    list_filter = ("kind",)
    search_via = _ORGANIZATION
    ordering = ("-pk",)


@admin.register(Shortfall)
class ShortfallAdmin(ReadOnlyAdmin[Shortfall]):
    list_display = ("organization", "charge_id", "amount", "settled", "forgiven", "created_at")
    list_select_related = ("organization",)
    search_via = _ORGANIZATION
    ordering = ("-pk",)


@admin.register(Price)
class PriceAdmin(StaffAdmin[Price]):
    """Prices are facts with a time: a new price is a new row, so that old charges keep their explanation."""

    list_display = (
        "name",
        "kind",
        "provider",
        "input_price",
        "output_price",
        "cached_input_price",
        "each_price",
        "valid_from",
    )
    list_filter = ("kind", "provider")
    search_fields = ("name__startswith",)
    ordering = ("kind", "name", "-valid_from")

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        before = {name: form.initial.get(name) for name in form.changed_data} if change else {}
        super().save_model(request, obj, form, change)
        events.record(
            organization=PLATFORM,
            by=actor(request),
            action="price.changed" if change else "price.added",
            target=obj.name,
            before=before,
            after={name: form.cleaned_data[name] for name in form.changed_data},
        )


def _grant(request: HttpRequest, pool: CreditPool, cleaned: dict[str, Any]) -> None:
    grants.grant(
        organization=pool.organization,
        source=cleaned["source"],
        credits=cleaned["credits"],
        reference=cleaned["reference"],
        reason=cleaned["reason"],
        by=actor(request),
    )
