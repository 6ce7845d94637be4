#!/usr/bin/env python
"""Django's command line for the portal; with DEBUG it brings the embedded parts up for a command that needs them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WITHOUT_DATABASE = {
    "", "--help", "--version", "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help",
    "lago_sandbox", "makemessages", "spectacular", "startapp", "version",
}  # fmt: skip


def main() -> None:
    """Run one command; the process counts as a command, whose statements may take longer than a request's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_portal.settings.base")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command != "runserver":
        os.environ.setdefault("PORTAL_PROCESS", "command")
    from django.core.management import execute_from_command_line

    with embedded_parts(needed=command not in WITHOUT_DATABASE):
        execute_from_command_line(sys.argv)


@contextmanager
def embedded_parts(*, needed: bool) -> Iterator[None]:
    """Start what DEBUG leaves to us, and afterwards end what nobody else uses."""
    from django.conf import settings

    if not needed or not settings.EMBEDDED_PARTS:
        yield
        return
    from billing_portal.embedded import Trouble, ensure_running

    try:
        lease = ensure_running(parts=settings.EMBEDDED_PARTS)
    except Trouble as trouble:
        sys.exit(f"billing portal: {trouble}")
    try:
        yield
    finally:
        lease.release()


if __name__ == "__main__":
    main()
