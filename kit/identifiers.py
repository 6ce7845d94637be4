"""Identifiers: time-ordered UUIDs for rows, random public ids for everybody outside."""

import os
import secrets
import time
from uuid import UUID

_RANDOM_BITS = (1 << 74) - 1
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread


def uuid7() -> UUID:
    """Return a UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds, 74 random bits.

    Rows made one after another lie side by side in the index; Python 3.11 has no `uuid.uuid7`.
    """
    random = int.from_bytes(os.urandom(10)) & _RANDOM_BITS
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62
    return UUID(int=value | random & ((1 << 62) - 1))


def public_id(prefix: str) -> str:
    """Return `<prefix>_` and 24 random characters (120 bits): an id that tells nothing and cannot be counted."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
