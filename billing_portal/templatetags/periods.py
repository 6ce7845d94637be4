"""The days of billing periods on a page."""

from datetime import UTC, date, datetime

from django import template

register = template.Library()


@register.filter
def lago_day(at: datetime | None) -> date | None:
    """Return the day on which a moment lies as Lago counts it, so that a page names the days that the invoice names.

    Without a licence Lago knows no zone but UTC (reference/lago.md §1.6).
    """
    return at.astimezone(UTC).date() if at is not None else None
