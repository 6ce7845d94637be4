"""Pools and allocations in the admin: credits enter by an action with a reason, never by a form field."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from credits import amounts
from credits.admin.acting import Act, ActingAdmin, ReasonForm
from credits.admin.searching import ORGANIZATION, WHOSE
from credits.ledger import pools as pool_verbs
from credits.ledger import proposals
from credits.models import Allocation, CreditPool, Grant
from credits.sharing import allocations
from kit.admin import ReadOnlyAdmin
from orgs.admin.acts import actor
from orgs.audit.events import Actor


class GrantForm(ReasonForm):
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
    expires_on = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="What is left expires when this day ends (UTC). Empty: never.",
    )
    reference = forms.CharField(max_length=64, widget=forms.HiddenInput)
    field_order = ("credits", "source", "expires_on", "reason", "reference")

    def clean_expires_on(self) -> date | None:
        """Refuse a day that is over."""
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and _end_of(day) <= timezone.now():
            raise forms.ValidationError("This day is over.")
        return day


class OverdraftForm(ReasonForm):
    """How far captures may take the pool below zero."""

    credits = forms.DecimalField(
        label="Overdraft limit",
        min_value=0,
        max_value=amounts.LARGEST_REQUEST,
        max_digits=16,
        decimal_places=amounts.PLACES,
        help_text="In credits; 0 is none. Not below what is used of it now.",
    )
    field_order = ("credits", "reason")


_OVERDRAFT: Final = Act(
    action="set_overdraft",
    title="Set the overdraft",
    explanation="Sets how far captures may take the pool of an organization below zero. Holds and charges never use it.",
    button="Set the overdraft",
    form=OverdraftForm,
)


@admin.register(CreditPool)
class CreditPoolAdmin(ActingAdmin[CreditPool]):
    list_display = ("organization", "department", "available", "held", "spent", "overdraft_limit")
    list_select_related = ("organization", "department")
    list_filter = (("department", admin.EmptyFieldListFilter),)
    search_via = ORGANIZATION
    ordering = ("-pk",)
    actions = ("grant_credits", "set_overdraft")

    @admin.action(description="Grant credits (with a reason)")
    def grant_credits(self, request: HttpRequest, chosen: QuerySet[CreditPool]) -> HttpResponse | None:
        """Ask how many, until when and why, then grant or propose for the organization of each chosen pool."""
        pools = self._of_organizations(request, chosen)
        if pools is None:
            return None
        by = actor(request)
        return self.ask_and_do(
            request, _grant_act(), pools, lambda pool, asked: _grant(pool, asked, by), names=_name
        )

    @admin.action(description="Set the overdraft (with a reason)")
    def set_overdraft(self, request: HttpRequest, chosen: QuerySet[CreditPool]) -> HttpResponse | None:
        """Ask how much and why, then set it for each chosen pool."""
        pools = self._of_organizations(request, chosen)
        if pools is None:
            return None
        by = actor(request)
        return self.ask_and_do(
            request,
            _OVERDRAFT,
            pools,
            lambda pool, asked: pool_verbs.set_overdraft(organization=pool.organization, by=by, **asked),
            names=_name,
        )

    def _of_organizations(
        self, request: HttpRequest, chosen: QuerySet[CreditPool]
    ) -> QuerySet[CreditPool] | None:
        """Return the chosen pools that are organizations' own; None, with a message, where there is none."""
        pools = chosen.select_related("organization").filter(department__isnull=True)
        if not pools:
            self.message_user(request, "Choose pools of organizations, not of departments.", messages.ERROR)
            return None
        return pools


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


def _grant_act() -> Act:
    threshold = amounts.display(Decimal(settings.GRANT_APPROVAL_THRESHOLD))
    return Act(
        action="grant_credits",
        title="Grant credits",
        explanation=f"Grants credits to each of these pools. More than {threshold} for one wait for another admin to approve.",
        button="Grant credits",
        form=GrantForm,
        initial={"reference": uuid4().hex},
    )


def _grant(pool: CreditPool, asked: dict[str, Any], by: Actor) -> None:
    last_day: date | None = asked["expires_on"]
    proposals.propose(
        organization=pool.organization,
        source=asked["source"],
        credits=asked["credits"],
        reference=asked["reference"],
        reason=asked["reason"],
        expires_at=_end_of(last_day) if last_day is not None else None,
        by=by,
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _name(pool: CreditPool) -> str:
    return f"{pool.organization} ({pool.organization.public_id}): {amounts.display(pool.available)} available"
