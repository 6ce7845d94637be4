"""The key of Lago, and while it is rotated the old one beside it: `LAGO_API_KEY=new,old`.

The new one goes first. Where Lago does not take it the other is tried once, and the process remembers which works.
"""

from django.conf import settings

_works: dict[str, str] = {}
"""By the setting, the key that worked where the first did not."""


def every() -> list[str]:
    """Return the keys, the one to try first in front; empty where none is set."""
    keys = as_set()
    working = _works.get(settings.LAGO_API_KEY)
    return sorted(keys, key=lambda key: key != working) if working in keys else keys


def as_set() -> list[str]:
    """Return the keys as the setting has them, the new one first."""
    return [key.strip() for key in settings.LAGO_API_KEY.split(",") if key.strip()]


def remember(key: str) -> None:
    """Note that a key works where the one before it did not."""
    _works[settings.LAGO_API_KEY] = key
