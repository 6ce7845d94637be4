"""The price table in the admin, and what was asked for that it has no price of."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from credits.admin.searching import ORGANIZATION
from credits.models import Price, UnpricedUse
from credits.pricing import prices, table
from kit.admin import ReadOnlyAdmin, StaffAdmin
from orgs.admin.acts import actor


class PriceForm(forms.ModelForm[Price]):
    """A price; each figure that makes no sense is told at its field, before the database would refuse the row."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        begins, ends = cleaned.get("valid_from", self.instance.valid_from), cleaned.get("valid_until")
        if begins and ends and ends <= begins:
            self.add_error("valid_until", "It must end after it begins.")
        for name in ("input_price", "output_price", "cached_input_price", "each_price"):
            if (cleaned.get(name) or 0) < 0:
                self.add_error(name, "0 or more is expected.")
        if cleaned.get("kind") in (Price.Kind.UNITS, Price.Kind.TOKENS):
            for name in ("size", "quality"):
                if cleaned.get(name):
                    self.add_error(name, "Only images have one.")
        return cleaned


@admin.register(Price)
class PriceAdmin(StaffAdmin[Price]):
    """Prices are facts with a time: a new price is a new row, so that old charges keep their explanation."""

    form = PriceForm
    list_display = (
        "name",
        "kind",
        "size",
        "quality",
        "organization",
        "provider",
        "input_price",
        "output_price",
        "cached_input_price",
        "each_price",
        "valid_from",
        "valid_until",
    )
    list_filter = (
        "kind",
        ("organization", admin.EmptyFieldListFilter),
        ("valid_until", admin.EmptyFieldListFilter),
    )
    list_select_related = ("organization",)
    search_fields = ("name__startswith",)
    search_via = ORGANIZATION
    ordering = ("kind", "name", "-valid_from")
    raw_id_fields = ("organization",)
    fields = (*prices.FACTS, "valid_until", "provider", "default_output_tokens")
    actions = ("end",)

    def get_readonly_fields(self, request: HttpRequest, obj: Price | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return prices.FACTS if prices.has_begun(obj) else ("organization",)

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        if not change:
            prices.add(price=obj, by=actor(request))
        elif form.changed_data:
            before = {name: form.initial.get(name) for name in form.changed_data}
            prices.change(price=obj, before=before, by=actor(request))

    @admin.action(description="End now")
    def end(self, request: HttpRequest, chosen: QuerySet[Price]) -> None:
        by = actor(request)
        rows = chosen.select_related("organization")
        self.each(request, rows, lambda row: prices.end(price=row, by=by))


@admin.register(UnpricedUse)
class UnpricedUseAdmin(ReadOnlyAdmin[UnpricedUse]):
    """What members asked for and the table has no price of, newest first: the list of prices to add."""

    list_display = ("name", "kind", "organization", "refused", "charged", "first_at", "last_at", "to_do")
    list_select_related = ("organization",)
    list_filter = ("kind",)
    search_fields = ("name__startswith",)
    search_via = ORGANIZATION
    ordering = ("-last_at",)

    @admin.display(description="What to do")
    def to_do(self, row: UnpricedUse) -> SafeString | str:
        """Say what helps: a price, everybody's or the organization's own, or the organization's choice to charge flat."""
        organization_id = row.organization.pk
        found = table.current().find(row.kind, row.name, at=timezone.now(), organization_id=organization_id)
        if found is not None:
            return f"Nothing: it has a price now ({found.name})."
        facts = {"kind": row.kind, "name": row.name}
        add = reverse("admin:credits_price_add")
        return format_html(
            'Add <a href="{}">a price for everybody</a> or <a href="{}">its own price</a>; until then it is {}: '
            '<a href="{}">that is the organization\'s choice</a>.',
            f"{add}?{urlencode(facts)}",
            f"{add}?{urlencode(facts | {'organization': organization_id})}",
            "charged flat" if row.organization.unpriced == "flat" else "refused",
            reverse("admin:orgs_organization_change", args=[organization_id]),
        )
