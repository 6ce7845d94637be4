"""Admin pages of invoices and credit notes as Lago showed them last; only a plan's invoice can be marked as paid."""

from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from credits.admin.acting import Act, ActingAdmin
from kit.admin import ReadOnlyAdmin
from lago_sync import money, tasks
from lago_sync.admin.purchases import MarkPaidForm
from lago_sync.invoices import payments
from lago_sync.models import LagoCreditNote, LagoInvoice
from orgs.admin.acts import actor

_MARK_PAID: Final = Act(
    action="mark_paid",
    title="Mark invoices as paid",
    explanation="Lago is told that they are paid, and what depends on it follows once Lago confirms it. Make sure that "
    "the money is there.",
    button="Mark as paid",
    form=MarkPaidForm,
)


@admin.register(LagoInvoice)
class LagoInvoiceAdmin(ActingAdmin[LagoInvoice]):
    list_display = (
        "number",
        "organization",
        "invoice_type",
        "status",
        "payment_status",
        "total_amount_cents",
        "total_due_amount_cents",
        "currency",
        "issuing_date",
        "is_overdue",
        "is_disputed",
        "mail",
        "synced_at",
    )
    list_select_related = ("organization",)
    list_filter = ("invoice_type", "status", "payment_status", "is_overdue", "is_disputed", "mail")
    search_fields = ("number__exact",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("public_id__exact", "slug__startswith")
    }
    ordering = ("-issuing_date", "-lago_id")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions = ("look_at_lago", "mark_paid")

    @admin.action(description="Look at Lago now", permissions=["view"])
    def look_at_lago(self, request: HttpRequest, chosen: QuerySet[LagoInvoice]) -> None:
        """Have Lago asked about each; what it says shows in a moment."""
        invoice_ids = list(chosen.values_list("pk", flat=True))
        for invoice_id in invoice_ids:
            tasks.enqueue_invoice(invoice_id)
        self.message_user(request, f"Lago is being asked about {len(invoice_ids)}.", messages.SUCCESS)

    @admin.action(description="Mark as paid: the money came past Lago…", permissions=["view"])
    def mark_paid(self, request: HttpRequest, chosen: QuerySet[LagoInvoice]) -> HttpResponse:
        by = actor(request)

        def mark(one: LagoInvoice, given: dict[str, Any]) -> None:
            payments.mark_paid(invoice=one, by=by, now=timezone.now(), **given)
            transaction.on_commit(tasks.enqueue_tell_paid)

        return self.ask_and_do(request, _MARK_PAID, chosen.select_related("organization"), mark, names=_named)


@admin.register(LagoCreditNote)
class LagoCreditNoteAdmin(ReadOnlyAdmin[LagoCreditNote]):
    list_display = (
        "number",
        "organization",
        "reason",
        "credit_status",
        "total_amount_cents",
        "balance_amount_cents",
        "currency",
        "issuing_date",
    )
    list_select_related = ("organization",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("public_id__exact", "slug__startswith")
    }
    ordering = ("-issuing_date", "-lago_id")


def _named(one: LagoInvoice) -> str:
    return f"{one.organization} · {one.number} · {money.display(one.total_due_amount_cents, one.currency)} to pay"
