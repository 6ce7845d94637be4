"""`manage.py sync_lago`: pulls what Lago has and repairs the mirror; exit 0 where nothing differs any more, else 1."""

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from credits.management.naming import organization_named
from lago_sync.errors import LagoIntegrationError
from lago_sync.reconcile import syncing
from lago_sync.reconcile.syncing import Line


class Command(BaseCommand):
    help = "Read what Lago has, of everybody or one organization; repair what is behind here and say what is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--organization", metavar="ORG", help="public id or slug; everybody when left out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            if options["organization"]:
                organization = organization_named(options["organization"])
                left = self._print(syncing.one(organization=organization, now=now))
            else:
                left = self._print(syncing.everybody(now=now))
        except LagoIntegrationError as error:
            raise CommandError(error.message) from error
        if left:
            sys.exit(1)

    def _print(self, lines: Iterator[Line]) -> int:
        """Print a line for each difference as it is found, and the sums; returns how many are left."""
        repaired = left = 0
        for line in lines:
            repaired, left = repaired + line.is_repaired, left + (not line.is_repaired)
            self.stdout.write(_row(line))
        self.stdout.write(f"{repaired} repaired, {left} left.")
        return left


def _row(line: Line) -> str:
    state = "repaired" if line.is_repaired else "left"
    do = f"\n{'':10}{line.do}" if line.do and not line.is_repaired else ""
    return f"{state:<9} {line.kind:<13} {line.organization or 'everybody':<28} {line.what}{do}"
