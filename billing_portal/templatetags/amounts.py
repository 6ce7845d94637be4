"""Amounts on a page. Every amount of credits goes through here, so all look alike and none is rounded unseen."""

from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from credits import amounts

register = template.Library()

NOT_APPLICABLE = "\N{EN DASH}"
"""0, not applicable and not known yet are three different outputs; this is the second."""


@register.filter(name="credits")
def whole(value: Decimal | None) -> str:
    """Return the amount whole (`1,234.5`), or a dash where there is none to speak of."""
    return NOT_APPLICABLE if value is None else amounts.display(value)


@register.simple_tag
def figure(text: str) -> SafeString:
    """Set a large figure with decimals beyond two small: whole, but read at a glance."""
    whole_part, _, decimals = str(text).partition(".")
    if len(decimals) <= 2:
        return format_html("{}", text)
    return format_html('{}<span class="decimals">.{}</span>', whole_part, decimals)


@register.simple_tag
def amount(value: Decimal | None) -> SafeString | str:
    """Return the amount with two decimals at most for lists; hovering shows it whole, and so does its `value`."""
    if value is None:
        return NOT_APPLICABLE
    full, short = amounts.display(value), amounts.display_short(value)
    if full == short:
        return format_html('<data value="{}">{}</data>', amounts.text(value), short)
    return format_html('<data value="{}" title="{}">{}</data>', amounts.text(value), full, short)


@register.filter
def percent(value: Decimal) -> str:
    """Return a percentage with its one place (`72.8%`)."""
    return f"{value}%"
