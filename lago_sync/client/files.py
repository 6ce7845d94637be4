"""Files that Lago made, such as the PDF of an invoice: fetched without the key, from Lago or where Lago leads to.

Lago's address of a file redirects to where it keeps it (reference/lago.md §2.8): itself, or a store such as S3.
"""

import os
import socket
from ipaddress import ip_address
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings

from lago_sync.client import sending
from lago_sync.errors import LagoUnavailable

LARGEST: Final = 10 * 1024 * 1024
_REDIRECTS: Final = 3


def fetch(url: str, *, most: int = LARGEST) -> bytes:
    """Return a file of at most so many bytes. Raises LagoUnavailable for an address that is not Lago's, or no answer.

    Lago may lead to a store of another's, over https and at addresses of the public internet only: what an answer says
    could else lead anywhere in our network. A store inside it is named by LAGO_FILES_URL.
    """
    for turn in range(_REDIRECTS + 1):
        if not _is_lagos(url) and not (turn and _is_public(url)):
            raise LagoUnavailable("Lago names a file at an address that is not its own; see LAGO_FILES_URL.")
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


def _is_lagos(url: str) -> bool:
    """Tell whether the operator named this address as Lago's."""
    named = (settings.LAGO_API_URL, settings.LAGO_PUBLIC_URL, settings.LAGO_FILES_URL)
    return _origin(url) in {_origin(one) for one in named if one}


def _is_public(url: str) -> bool:
    """Tell whether an address is https and its host has public addresses only.

    A name that is changed after this look leads to nobody who could prove to be it: certificates are verified.
    """
    scheme, host, port = _origin(url)
    if scheme != "https":
        return False
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ip_address(str(at[0]).partition("%")[0]).is_global for *_, at in found)


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
