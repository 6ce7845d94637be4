"""Admin page of notices: which mails went out, and which could not be sent."""

from typing import ClassVar

from django.contrib import admin

from kit.admin import ReadOnlyAdmin
from orgs.notices.models import Notice


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin[Notice]):
    list_display = ("created_at", "user", "kind", "title", "mail", "mail_attempts", "mailed_at", "read_at")
    list_filter = ("mail",)
    list_select_related = ("user",)
    search_fields: ClassVar[tuple[str, ...]] = ("user__email__iexact", "user__public_id__exact")
    search_help_text = "an e-mail address or a user's public id"
    ordering = ("-pk",)
