"""Instants: points in time as people and programs write them."""

from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime


def utc(text: str) -> datetime | None:
    """Return the instant that an RFC 3339 text names, None for a text that names none.

    In UTC, since offsets may be as large as 24 hours where PostgreSQL takes less than 16.
    """
    try:
        at = parse_datetime(text)
        return None if at is None or at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
