"""What people type as a name or detail, made fit to keep: no edges of space, no control characters, not too long."""

import secrets
import unicodedata
from typing import Final

from django.utils.text import slugify

from kit.errors import ValidationError

_RESERVED: Final = frozenset({"new", "billing", "system", "admin", "api"})
_SLUG_LENGTH: Final = 48


def cleaned(value: str, *, field: str = "name", longest: int = 120, may_be_empty: bool = False) -> str:
    """Return the text without spaces around it; raises ValidationError that names `field`."""
    text = unicodedata.normalize("NFC", value).strip()
    if not text and not may_be_empty:
        raise ValidationError(**{field: "This is needed."})
    if len(text) > longest:
        raise ValidationError(**{field: f"At most {longest} characters."})
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValidationError(**{field: "Control characters are not allowed."})
    return text


def slug_for(name: str, *, distinct: bool = False) -> str:
    """Return an address for `name`; `distinct` adds random characters, for a name that is taken."""
    base = slugify(name)[:_SLUG_LENGTH].strip("-_")
    if distinct or not base or base in _RESERVED:
        return f"{base or 'team'}-{secrets.token_hex(3)}"
    return base
