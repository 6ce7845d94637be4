"""`manage.py migrate_users_to_orgs`: user-based customers at Lago become organizations (docs/migration.md)."""

from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from kit.errors import DomainError
from lago_sync.management.progress import Bar
from lago_sync.migration import candidates, reports, runs
from lago_sync.migration.candidates import Candidate
from lago_sync.migration.runs import Line
from orgs.audit.events import Actor

OPERATOR: Final = Actor(kind="operator", public_id="manage.py")


class Command(BaseCommand):
    """Exit 0 where every line is in order, 1 where one is not: it would not move, it failed, or it differs."""

    help = (
        "Move user-based customers at Lago to organizations: subscription, wallet credits, nothing billed twice. "
        "A dry run unless --execute; run it again after a failure, it carries on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--mapping-file",
            type=Path,
            metavar="F",
            help="CSV or JSON: user (Lago's id, the user's, or e-mail), org_id, name, email, credits; all user_… when left out",
        )
        parser.add_argument("--execute", action="store_true", help="do it; without it nothing is changed")
        parser.add_argument("--verify", action="store_true", help="compare both sides of what was migrated")
        parser.add_argument(
            "--report", type=Path, metavar="F", help="write the table to a file, .json or .csv"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = self._chosen(
            options["mapping_file"], only_begun=options["verify"] and not options["execute"]
        )
        lines, columns = self._run(chosen, execute=options["execute"], verify=options["verify"])
        self.stdout.write(reports.table(lines, columns) if lines else "There is nobody to migrate.")
        if options["report"] is not None:
            self._write(options["report"], lines)
        bad = sum(runs.is_bad(one) for one in lines)
        self.stdout.write(f"{len(lines)} customers, {len(lines) - bad} in order, {bad} not.")
        if not options["execute"] and not options["verify"]:
            self.stdout.write("A dry run: nothing was changed. Add --execute to do it.")
        if bad:
            raise SystemExit(1)

    def _chosen(self, mapping: Path | None, *, only_begun: bool) -> list[Candidate]:
        try:
            if mapping is not None:
                return candidates.listed(mapping)
            return runs.begun() if only_begun else candidates.discovered()
        except OSError as error:
            raise CommandError(f"{mapping} cannot be read: {error.strerror}") from error
        except DomainError as error:
            raise CommandError(f"{error.message}\nNothing was changed.") from error

    def _run(
        self, chosen: list[Candidate], *, execute: bool, verify: bool
    ) -> tuple[list[Line], tuple[str, ...]]:
        now = timezone.now()
        if not execute and not verify:
            return runs.outline(candidates=chosen, now=now, progress=Bar("Looking")), runs.OUTLINE
        lines = []
        if execute:
            lines = runs.execute(candidates=chosen, by=OPERATOR, now=now, progress=Bar("Migrating"))
        if verify:
            failed = {one["user_id"]: one for one in lines if runs.is_bad(one)}
            compared = runs.verify(candidates=chosen, progress=Bar("Comparing"))
            lines = [failed.get(one["user_id"], one) for one in compared]
        return lines, runs.DONE

    def _write(self, path: Path, lines: list[Line]) -> None:
        try:
            reports.write(path, lines)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        self.stdout.write(f"The report is in {path}.")
