"""`manage.py provision_organizations FILE.csv`: many organizations with owner, plan and first credits (docs/migration.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from kit.errors import DomainError
from lago_sync.management.progress import Bar
from lago_sync.migration import lists, provisioning, reports
from lago_sync.migration.lists import Line
from orgs.audit.events import Actor

OPERATOR: Final = Actor(kind="operator", public_id="manage.py")


class Command(BaseCommand):
    """Exit 0 where every line is in order, 1 where one is not. A list with a wrong line makes nothing at all."""

    help = (
        f"Make organizations from a CSV ({', '.join(lists.COLUMNS)}). "
        "A dry run unless --execute; run it again after a failure, it carries on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--execute", action="store_true", help="do it; without it nothing is made")
        parser.add_argument(
            "--report", type=Path, metavar="F", help="write the table to a file, .json or .csv"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lines, problems = self._read(options["file"])
        if options["execute"] and not problems:
            found = provisioning.execute(
                lines=lines, by=OPERATOR, now=timezone.now(), progress=Bar("Provisioning")
            )
        else:
            found = provisioning.outline(lines=lines, problems=problems)
        self.stdout.write(reports.table(found, provisioning.COLUMNS) if found else "The list is empty.")
        if options["report"] is not None:
            self._write(options["report"], found)
        bad = sum(one["status"] in {"refused", "failed"} for one in found)
        self.stdout.write(f"{len(found)} lines, {len(found) - bad} in order, {bad} not.")
        if problems:
            self.stdout.write("The list has wrong lines: nothing was made.")
        elif not options["execute"]:
            self.stdout.write("A dry run: nothing was made. Add --execute to do it.")
        if bad:
            raise SystemExit(1)

    def _read(self, path: Path) -> tuple[list[Line], Mapping[int, Sequence[str]]]:
        try:
            lines = lists.read(path)
            return lines, lists.problems(lines)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        except DomainError as error:
            raise CommandError(f"{error.message}\nNothing was made.") from error

    def _write(self, path: Path, found: list[dict[str, Any]]) -> None:
        try:
            reports.write(path, found)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        self.stdout.write(f"The report is in {path}.")
