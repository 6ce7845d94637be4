"""Admin pages of organizations, their members and departments."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest

from kit.admin import StaffAdmin
from orgs import departments, memberships, organizations
from orgs.admin.acts import actor
from orgs.models import Department, DepartmentManager, Membership, Organization, User

OWNER = Membership.Role.OWNER
_DETAILS = (
    "name",
    "time_zone",
    "shared_spending",
    "unpriced",
    "unpriced_credits",
    "billing_email",
    "legal_name",
    "tax_number",
    "billing_address",
)


class NewOrganization(forms.ModelForm[Organization]):
    """A team needs an owner."""

    owner_email = forms.EmailField(help_text="of a user that exists")

    class Meta:
        model = Organization
        fields: ClassVar[list[str]] = ["name", "time_zone"]

    def clean_owner_email(self) -> User:
        owner = User.objects.filter(email=self.cleaned_data["owner_email"].lower(), is_active=True).first()
        if owner is None:
            raise forms.ValidationError("There is no such user.")
        return owner


class ChangedOrganization(forms.ModelForm[Organization]):
    """What is charged flat costs something: said at the field, before the database would."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("unpriced") == Organization.Unpriced.FLAT and not cleaned.get("unpriced_credits"):
            self.add_error("unpriced_credits", "To charge flat, name the credits: more than 0 are expected.")
        return cleaned


@admin.register(Organization)
class OrganizationAdmin(StaffAdmin[Organization]):
    list_display = ("name", "slug", "public_id", "kind", "status", "currency", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("public_id__exact", "slug__startswith", "name__istartswith")
    ordering = ("-pk",)
    fields = ("public_id", "slug", "kind", "status", "currency", "created_at", *_DETAILS)
    readonly_fields = ("public_id", "slug", "kind", "status", "currency", "created_at")
    form = ChangedOrganization
    actions = ["suspend", "resume", "archive"]

    def get_form(
        self,
        request: HttpRequest,
        obj: Organization | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else NewOrganization

    def get_fields(self, request: HttpRequest, obj: Organization | None = None) -> Any:
        return self.fields if obj else ("name", "owner_email", "time_zone")

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        if change:
            changes = {field: form.cleaned_data[field] for field in form.changed_data}
            organizations.update(organization=obj, changes=changes, by=actor(request))
            return
        cleaned = form.cleaned_data
        owner, time_zone = cleaned["owner_email"], cleaned["time_zone"]
        made = organizations.create(name=cleaned["name"], owner=owner, by=actor(request), time_zone=time_zone)
        obj.__dict__.update(made.__dict__)

    @admin.action(description="Suspend: no new holds and charges")
    def suspend(self, request: HttpRequest, chosen: QuerySet[Organization]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: organizations.suspend(organization=one, reason="staff", by=by))

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, chosen: QuerySet[Organization]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: organizations.resume(organization=one, by=by))

    @admin.action(description="Archive for good")
    def archive(self, request: HttpRequest, chosen: QuerySet[Organization]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: organizations.archive(organization=one, by=by))


@admin.register(Membership)
class MembershipAdmin(StaffAdmin[Membership]):
    list_display = ("user", "organization", "role", "department", "joined_at", "ended_at")
    list_select_related = ("user", "organization", "department")
    list_filter = ("role", ("ended_at", admin.EmptyFieldListFilter))
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "user": ("email__startswith", "public_id__exact"),
        "organization": ("slug__startswith", "name__istartswith"),
    }
    ordering = ("-pk",)
    fields = ("organization", "user", "role", "department", "joined_at", "ended_at")
    readonly_fields: ClassVar[tuple[str, ...]] = ("joined_at", "ended_at")
    raw_id_fields = ("organization", "user", "department")
    actions = ["remove"]

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        return (*self.readonly_fields, "organization", "user") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        by, cleaned = actor(request), form.cleaned_data
        if change:
            # Moving comes first: it locks the department, and nothing is locked after the audit event of a role.
            if "department" in form.changed_data:
                memberships.move(membership=obj, department=cleaned["department"], by=by)
            if "role" in form.changed_data:
                memberships.change_role(membership=obj, role=cleaned["role"], by=by, acting_as=OWNER)
            return
        whom = {
            "organization": cleaned["organization"],
            "user": cleaned["user"],
            "department": cleaned["department"],
        }
        made = memberships.add(**whom, role=cleaned["role"], by=by, acting_as=OWNER)
        obj.__dict__.update(made.__dict__)

    @admin.action(description="Remove from the organization")
    def remove(self, request: HttpRequest, chosen: QuerySet[Membership]) -> None:
        by = actor(request)
        rows = chosen.select_related("user", "organization")
        self.each(request, rows, lambda one: memberships.remove(membership=one, by=by, acting_as=OWNER))


class ManagerInline(admin.TabularInline[DepartmentManager, Department]):
    model = DepartmentManager
    raw_id_fields = ("membership",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def get_queryset(self, request: HttpRequest) -> QuerySet[DepartmentManager]:
        return super().get_queryset(request).select_related("membership__user", "membership__organization")


@admin.register(Department)
class DepartmentAdmin(StaffAdmin[Department]):
    list_display = ("name", "organization", "public_id", "created_at", "archived_at")
    list_select_related = ("organization",)
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("public_id__exact",)
    search_via: ClassVar[dict[str, tuple[str, ...]]] = {
        "organization": ("slug__startswith", "public_id__exact")
    }
    ordering = ("-pk",)
    fields = ("organization", "name", "public_id", "created_at", "archived_at")
    readonly_fields: ClassVar[tuple[str, ...]] = ("public_id", "created_at", "archived_at")
    raw_id_fields = ("organization",)
    actions = ["archive"]

    def get_readonly_fields(self, request: HttpRequest, obj: Department | None = None) -> Any:
        return (*self.readonly_fields, "organization") if obj else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: Department | None) -> list[Any]:
        return [ManagerInline] if obj else []

    def save_model(self, request: HttpRequest, obj: Department, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        by, cleaned = actor(request), form.cleaned_data
        if not change:
            made = departments.create(organization=cleaned["organization"], name=cleaned["name"], by=by)
            obj.__dict__.update(made.__dict__)
        elif "name" in form.changed_data:
            departments.rename(department=obj, name=cleaned["name"], by=by)

    def save_formset(
        self,
        request: HttpRequest,
        form: Any,
        formset: BaseInlineFormSet[Any, Any, Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        by = actor(request)
        new = formset.save(commit=False)
        for gone in formset.deleted_objects:
            departments.remove_manager(department=form.instance, membership=gone.membership, by=by)
        for manager in new:
            departments.add_manager(department=form.instance, membership=manager.membership, by=by)

    @admin.action(description="Archive")
    def archive(self, request: HttpRequest, chosen: QuerySet[Department]) -> None:
        by = actor(request)
        self.each(request, chosen, lambda one: departments.archive(department=one, by=by))
