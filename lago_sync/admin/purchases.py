"""Admin pages of packages, which staff edit, and purchases, which only their verbs change."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from kit.admin import ReadOnlyAdmin, StaffAdmin
from lago_sync import tasks
from lago_sync.models import Package, Purchase
from lago_sync.purchases import orders
from orgs.admin.acts import actor
from orgs.audit import events
from orgs.audit.models import PLATFORM


@admin.register(Package)
class PackageAdmin(StaffAdmin[Package]):
    """What is offered from the next order on; a purchase keeps the price it was ordered at."""

    list_display = ("code", "name", "credits", "amount_cents", "currency", "is_active")
    list_filter = ("currency", "is_active")
    ordering = ("currency", "credits")

    def get_readonly_fields(self, request: HttpRequest, obj: Package | None = None) -> Any:
        return ("code", "currency") if obj else ()

    def save_model(self, request: HttpRequest, obj: Package, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        before = {name: form.initial.get(name) for name in form.changed_data} if change else {}
        super().save_model(request, obj, form, change)
        events.record(
            organization=PLATFORM,
            by=actor(request),
            action="package.changed" if change else "package.added",
            target=obj.code,
            before=before,
            after={name: form.cleaned_data[name] for name in form.changed_data},
        )


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin[Purchase]):
    list_display = (
        "id",
        "organization",
        "credits",
        "amount_cents",
        "currency",
        "status",
        "invoice_number",
        "drift",
        "created_at",
    )
    list_select_related = ("organization",)
    list_filter = ("status", ("drift", admin.EmptyFieldListFilter), "currency")
    search_fields = ("invoice_number__exact",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("public_id__exact", "slug__startswith")
    }
    ordering = ("-pk",)
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions = ("look_at_lago", "take_flag_away")

    @admin.action(description="Look at Lago now", permissions=["view"])
    def look_at_lago(self, request: HttpRequest, chosen: QuerySet[Purchase]) -> None:
        """Have Lago asked about each; what it says shows in a moment."""
        purchase_ids = list(chosen.values_list("pk", flat=True))
        for purchase_id in purchase_ids:
            tasks.enqueue_advance(purchase_id)
        self.message_user(request, f"Lago is being asked about {len(purchase_ids)}.", messages.SUCCESS)

    @admin.action(description="Take the flag away: what differed is settled", permissions=["view"])
    def take_flag_away(self, request: HttpRequest, chosen: QuerySet[Purchase]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: orders.unflag(purchase=one, by=by))
