"""The plan on pages."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@require_safe
def plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the plan."""
    raise NotImplementedError
