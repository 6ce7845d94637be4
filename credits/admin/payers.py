"""Pools and allocations in the admin: credits enter by an action with a reason, never by a form field."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from credits import amounts
from credits.admin.searching import ORGANIZATION, WHOSE
from credits.ledger import grants
from credits.models import Allocation, CreditPool, Grant
from credits.sharing import allocations
from kit.admin import ReadOnlyAdmin
from orgs.admin.acts import actor


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
    search_via = ORGANIZATION
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
    search_via = WHOSE
    ordering = ("-pk",)
    actions = ("revoke",)

    @admin.action(description="Revoke: unspent credits return to the pool")
    def revoke(self, request: HttpRequest, chosen: QuerySet[Allocation]) -> None:
        by = actor(request)
        rows = chosen.select_related("organization", "user")
        self.each(
            request, rows, lambda row: allocations.revoke(organization=row.organization, user=row.user, by=by)
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
