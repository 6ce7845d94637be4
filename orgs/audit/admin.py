"""Admin page of the evidence: read only, for PostgreSQL refuses the rest anyway."""

from typing import ClassVar

from django.contrib import admin

from kit.admin import ReadOnlyAdmin
from orgs.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin[AuditEvent]):
    list_display = ("at", "organization", "sequence", "action", "target", "actor_kind", "actor", "address")
    search_fields: ClassVar[tuple[str, ...]] = ("organization__exact",)
    search_help_text = "an organization's public id, or `platform`"
    ordering = ("-pk",)
