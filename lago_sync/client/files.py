"""Files that Lago made, such as the PDF of an invoice: fetched without the key, and from nowhere but Lago.

Lago's address of a file redirects to where it keeps it (reference/lago.md §2.8).
"""

import os
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings

from lago_sync.client import sending
from lago_sync.errors import LagoUnavailable

LARGEST: Final = 10 * 1024 * 1024
_REDIRECTS: Final = 3


def fetch(url: str, *, most: int = LARGEST) -> bytes:
    """Return a file of at most so many bytes. Raises LagoUnavailable for an address that is not Lago's, or no answer."""
    for _ in range(_REDIRECTS + 1):
        _require_lagos(url)
        try:
            with sending.session(os.getpid(), "again").get(
                url,
                timeout=(sending.CONNECT_SECONDS, settings.LAGO_TIMEOUT_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["Location"])
                    continue
                return _content(answer, most)
        except requests.RequestException as error:
            raise LagoUnavailable("Lago does not give the file.") from error
    raise LagoUnavailable("Lago's address of the file leads in circles.")


def _require_lagos(url: str) -> None:
    """Let only the addresses pass that the operator named: what an answer says could lead anywhere in our network."""
    known = {_origin(one) for one in (settings.LAGO_API_URL, settings.LAGO_PUBLIC_URL) if one}
    if _origin(url) not in known:
        raise LagoUnavailable("Lago names a file at an address that is not its own; see LAGO_PUBLIC_URL.")


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ("", "", None)
    return (parts.scheme, parts.hostname or "", port or {"https": 443, "http": 80}.get(parts.scheme))


def _content(answer: requests.Response, most: int) -> bytes:
    if answer.status_code != 200:
        raise LagoUnavailable(f"Lago answers {answer.status_code} for the file.")
    found = bytearray()
    for part in answer.iter_content(64 * 1024):
        found += part
        if len(found) > most:
            raise LagoUnavailable("Lago's file is too large.")
    return bytes(found)
