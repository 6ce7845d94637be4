"""Admin page of access keys: seen and revoked here, issued where they are shown once (API, pages, `create_service_key`)."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from kit.admin import ReadOnlyAdmin
from orgs.access import keys
from orgs.admin.acts import actor
from orgs.models import AccessKey


@admin.register(AccessKey)
class AccessKeyAdmin(ReadOnlyAdmin[AccessKey]):
    list_display = (
        "name",
        "prefix",
        "kind",
        "organization",
        "user",
        "scopes",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    list_select_related = ("organization", "user")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("public_id__exact",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("slug__startswith", "public_id__exact"),
        "user": ("email__startswith", "public_id__exact"),
    }
    ordering = ("-pk",)
    exclude = ("digest",)
    actions = ["revoke"]

    @admin.action(description="Revoke at once", permissions=["view"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[AccessKey]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: keys.revoke(key=one, by=by))
