"""The inbox in the navigation."""

from django import template

from orgs.models import User
from orgs.notices import inbox

register = template.Library()


@register.simple_tag
def unread_notices(user: object) -> str:
    """Return how many notices a person has not read, "99+" beyond that; empty for none."""
    if not isinstance(user, User):
        return ""
    count = inbox.unread(user=user)
    return "99+" if count >= inbox.MOST_COUNTED else str(count or "")
