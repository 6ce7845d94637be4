"""Shares, and addresses of the usage page: what is asked for now, narrowed to one row of it."""

from collections.abc import Mapping
from decimal import Decimal

from django import template
from django.http import HttpRequest, QueryDict
from django.template import Context

from credits import amounts
from credits.views.asking import GROUPINGS

register = template.Library()


@register.simple_tag
def grouping_label(key: str) -> str:
    """Return what a grouping is called."""
    return GROUPINGS[key]


@register.simple_tag
def part_of(part: int, whole: int) -> Decimal:
    """Return a part of a whole in percent with one place."""
    return amounts.percentage(Decimal(part), Decimal(whole))


@register.simple_tag(takes_context=True)
def narrowed(context: Context, query: Mapping[str, str]) -> str:
    """Return the present query with these on top, from the newest record on."""
    request: HttpRequest = context["request"]
    asked: QueryDict = request.GET.copy()
    asked.pop("before", None)
    if "start" in query:
        asked.pop("days", None)
    for name, value in query.items():
        asked[name] = value
    return asked.urlencode()


@register.simple_tag(takes_context=True)
def narrowed_to(context: Context, name: str, value: str) -> str:
    """Return the present query with one more choice."""
    return narrowed(context, {name: value})
