"""Admin pages of users: staff invite, let in, lock out and make system admins; passwords are reset, never typed here."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from kit.admin import StaffAdmin
from orgs import users
from orgs.admin.acts import actor
from orgs.models import User


@admin.register(User)
class UserAdmin(StaffAdmin[User]):
    list_display = ("email", "name", "public_id", "is_active", "is_staff", "is_service", "last_login")
    list_filter = ("is_active", "is_staff", "is_service")
    search_fields = ("public_id__exact", "email__startswith", "name__istartswith")
    ordering = ("-pk",)
    fields = (
        "public_id",
        "email",
        "name",
        "is_active",
        "is_staff",
        "is_service",
        "date_joined",
        "last_login",
    )
    readonly_fields: ClassVar[tuple[str, ...]] = ("public_id", "is_service", "date_joined", "last_login")

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.fields if obj else ("email", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return (*self.readonly_fields, "email") if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Addresses are kept in small letters."""
        return super().get_search_results(request, queryset, search_term.lower())

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool) -> None:  # noqa: FBT001 - Django's signature
        by = actor(request)
        if change:
            users.update(
                user=obj, changes={field: form.cleaned_data[field] for field in form.changed_data}, by=by
            )
        else:
            made = users.create(email=form.cleaned_data["email"], name=form.cleaned_data["name"], by=by)
            obj.__dict__.update(made.__dict__)
