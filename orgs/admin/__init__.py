"""Django admin for `orgs`: staff change through the same verbs as everybody, and each act is in the audit log."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from orgs.admin import keys, organizations, people, plans

__all__ = ["keys", "organizations", "people", "plans"]

# Staff sign in on the portal's own page, with its rate limits and second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
