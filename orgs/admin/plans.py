"""Admin pages of plans and subscriptions."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model, QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest
from django.utils import timezone

from kit.admin import ReadOnlyAdmin, StaffAdmin
from orgs import subscriptions
from orgs.admin.acts import actor
from orgs.audit import events
from orgs.audit.models import PLATFORM
from orgs.models import Plan, PlanFee, Subscription

_IN_ORGANIZATION: dict[str, tuple[str, ...]] = {
    "organization": ("slug__startswith", "public_id__exact", "name__istartswith")
}


@admin.register(Plan)
class PlanAdmin(StaffAdmin[Plan]):
    """Limits that hold from the next request on; codes are fixed, since subscriptions and Lago know plans by them."""

    list_display = (
        "code",
        "name",
        "daily_calls",
        "monthly_calls",
        "seats",
        "markup_percent",
        "included_credits",
    )
    ordering = ("pk",)

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> Any:
        return ("code",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        before = model_to_dict(Plan.objects.get(pk=obj.pk), fields=form.changed_data) if change else {}
        obj.save()
        after = model_to_dict(obj, fields=form.changed_data)
        action = "plan.updated" if change else "plan.created"
        events.record(
            organization=PLATFORM,
            by=actor(request),
            action=action,
            target=obj.code,
            before=before,
            after=after,
        )


class ReasonedActionForm(ActionForm):
    """The bar of actions, with the reason that some of them need."""

    reason = forms.CharField(
        required=False, max_length=500, help_text="Needed to pause; kept in the audit log."
    )


@admin.register(Subscription)
class SubscriptionAdmin(StaffAdmin[Subscription]):
    list_display = (
        "organization",
        "plan",
        "status",
        "current_period_start",
        "current_period_end",
        "ended_at",
    )
    list_select_related = ("organization", "plan")
    list_filter = ("status", "plan")
    search_via: ClassVar[dict[str, tuple[str, ...]]] = _IN_ORGANIZATION
    ordering = ("-pk",)
    fields = (
        "organization",
        "plan",
        "current_period_start",
        "current_period_end",
        "status",
        "past_due_since",
        "ended_at",
    )
    readonly_fields: ClassVar[tuple[str, ...]] = ("status", "past_due_since", "ended_at")
    raw_id_fields = ("organization",)
    actions = ["mark_past_due", "restore", "pause", "resume", "end"]
    action_form = ReasonedActionForm

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        return (*self.readonly_fields, "organization") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Leave what has ended as it is: saving it would start another."""
        return super().has_change_permission(request, obj) and getattr(obj, "ended_at", None) is None

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        made = subscriptions.set_plan(
            organization=obj.organization,
            plan_code=obj.plan.code,
            period_start=obj.current_period_start,
            period_end=obj.current_period_end,
            by=actor(request),
        )
        obj.__dict__.update(made.__dict__)

    @admin.action(description="Mark past due from now")
    def mark_past_due(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        by, now = actor(request), timezone.now()
        self.each(
            request, chosen, lambda one: subscriptions.mark_past_due(subscription=one, since=now, by=by)
        )

    @admin.action(description="Restore: what was owed is paid")
    def restore(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: subscriptions.restore(subscription=one, by=by))

    @admin.action(description="Pause: no new holds and charges (with a reason)")
    def pause(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        by, reason = actor(request), request.POST.get("reason", "")[:500]
        self.each(request, chosen, lambda one: subscriptions.pause(subscription=one, reason=reason, by=by))

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: subscriptions.resume(subscription=one, by=by))

    @admin.action(description="End now")
    def end(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        by, now = actor(request), timezone.now()
        self.each(request, chosen, lambda one: subscriptions.end(subscription=one, at=now, by=by))


@admin.register(PlanFee)
class PlanFeeAdmin(ReadOnlyAdmin[PlanFee]):
    list_display = (
        "subscription",
        "period_start",
        "period_end",
        "amount_cents",
        "currency",
        "reference",
        "paid_at",
    )
    list_select_related = ("subscription",)
    ordering = ("-pk",)
