"""What each example does first: be a process of the portal, with its settings and its database."""

import os
import secrets

import django

# Before anything of the portal is imported; in an application of your own this is done already.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_portal.settings.base")
django.setup()


def new_id() -> str:
    """Return an organization's id that nobody has; yours comes from the portal (`/api/v1/orgs`)."""
    return f"org_example_{secrets.token_hex(6)}"
