"""The price table in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from credits.models import Price
from kit.admin import StaffAdmin
from orgs.admin.acts import actor
from orgs.audit import events
from orgs.audit.models import PLATFORM


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
