"""Writes the first .env, which turns DEBUG on."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from billing_portal.embedded import folders

TEXT = """\
# Written by the first `make run`; .env.example explains every name. With DEBUG=1 what is not set here is embedded.
DEBUG=1
ENVIRONMENT=development
SECRET_KEY={secret}
ALLOWED_HOSTS=localhost,127.0.0.1,[::1]
"""


def write_if_missing(file: Path) -> bool:
    """Create `file` for its owner's eyes only (0600); say whether it was created."""
    half = file.with_name(f".env.{os.getpid()}.half")
    if file.exists():
        return False
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(TEXT.format(secret=secrets.token_urlsafe(48)))
        os.link(half, file)
    except FileExistsError:
        return False
    except OSError as error:
        raise folders.unwritable(file, error) from error
    finally:
        with suppress(FileNotFoundError):
            half.unlink()
    return True
