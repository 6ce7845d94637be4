"""Admin pages of packages, which staff edit, and purchases with their refunds, which only their verbs change."""

from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from credits import amounts
from credits.admin.acting import Act, ActingAdmin, ReasonForm
from credits.views.fields import CreditsInput
from kit.admin import ReadOnlyAdmin, StaffAdmin
from lago_sync import money, tasks
from lago_sync.models import Package, Purchase, Refund
from lago_sync.purchases import marking, orders, refunds
from orgs.admin.acts import actor
from orgs.audit import events
from orgs.audit.models import PLATFORM


class RefundForm(ReasonForm):
    """How much is given back, and what that is called at the payment provider."""

    credits = CreditsInput(
        required=False,
        help_text="Empty: all that was not taken back before. The price goes back in proportion.",
    )
    reference = forms.CharField(
        max_length=128,
        help_text="Of the refund at the payment provider; the same reference again does nothing.",
    )
    field_order = ("credits", "reference", "reason")


class MarkPaidForm(ReasonForm):
    """Where the money is."""

    reference = forms.CharField(max_length=200, help_text="Of the bank transfer, the cheque, …")
    beside_provider = forms.BooleanField(
        label="It was paid past the payment provider", required=False, help_text="Needed where there is one."
    )
    field_order = ("reference", "reason", "beside_provider")


_REFUND: Final = Act(
    action="refund",
    title="Refund purchases",
    explanation="The credits that are still there are taken back; what was spent is noted as owed. Return the money at "
    "the payment provider yourself: the portal only keeps the books, here and at Lago.",
    button="Take the credits back",
    form=RefundForm,
)
_MARK_PAID: Final = Act(
    action="mark_paid",
    title="Mark purchases as paid",
    explanation="Lago is told that the invoice is paid, and the credits come once Lago confirms it. Make sure that the "
    "money is there.",
    button="Mark as paid",
    form=MarkPaidForm,
)


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
class PurchaseAdmin(ActingAdmin[Purchase]):
    list_display = ("organization", "bought", "price", "status", "invoice_number", "created_at", "drift")
    list_select_related = ("organization",)
    list_filter = ("status", ("drift", admin.EmptyFieldListFilter), "currency")
    search_fields = ("invoice_number__exact",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("public_id__exact", "slug__startswith")
    }
    ordering = ("-pk",)
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions = ("look_at_lago", "take_flag_away", "mark_paid", "refund")

    @admin.display(description="credits", ordering="credits")
    def bought(self, row: Purchase) -> str:
        return amounts.display(row.credits)

    @admin.display(ordering="amount_cents")
    def price(self, row: Purchase) -> str:
        return money.display(row.amount_cents, row.currency)

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

    @admin.action(description="Mark as paid: the money came past Lago…", permissions=["view"])
    def mark_paid(self, request: HttpRequest, chosen: QuerySet[Purchase]) -> HttpResponse:
        by = actor(request)

        def mark(one: Purchase, given: dict[str, Any]) -> None:
            marking.mark_paid(purchase=one, by=by, **given)
            transaction.on_commit(lambda: tasks.enqueue_advance(one.pk))

        return self.ask_and_do(request, _MARK_PAID, chosen, mark, names=_named)

    @admin.action(description="Refund: take the credits back…", permissions=["view"])
    def refund(self, request: HttpRequest, chosen: QuerySet[Purchase]) -> HttpResponse:
        by, now = actor(request), timezone.now()

        def take_back(one: Purchase, given: dict[str, Any]) -> None:
            refunds.refund(purchase=one, by=by, now=now, **given)
            transaction.on_commit(tasks.enqueue_refunds)

        return self.ask_and_do(request, _REFUND, chosen, take_back, names=_named)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin[Refund]):
    """What was taken back, and whether Lago's wallet was told."""

    list_display = (
        "purchase",
        "kind",
        "credits",
        "amount_cents",
        "withdrawn",
        "owed",
        "reference",
        "made_by",
        "created_at",
        "voided_at",
        "last_error",
    )
    list_select_related = ("purchase",)
    list_filter = ("kind", ("voided_at", admin.EmptyFieldListFilter))
    search_fields = ("reference__exact",)
    ordering = ("-pk",)


def _named(one: Purchase) -> str:
    price = money.display(one.amount_cents, one.currency)
    return f"{one.organization} · {amounts.display(one.credits)} credits for {price} · {one.get_status_display()}"
