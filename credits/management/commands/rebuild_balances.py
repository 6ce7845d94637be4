"""Computes balances and rollups anew from entries and records; writes only when told to."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from credits.ledger import rebuilding, reconcile
from credits.ledger.rebuilding import Difference
from credits.management.naming import organization_named
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.models import Organization


class Command(BaseCommand):
    """Exit 0 when nothing differs or all was written, 1 when differences remain."""

    help = "Compute balances and rollups anew: a line per difference; writes only with --execute."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="ORG", help="public id or slug; all when left out")
        parser.add_argument("--execute", action="store_true", help="write what differs")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["organization"]
        chosen = reconcile.organizations() if name is None else [organization_named(name)]
        organizations = found = remaining = 0
        for organization in chosen:
            organizations += 1
            count, left = self._one(organization, execute=options["execute"])
            found += count
            remaining += left
        self.stdout.write(f"{organizations} organizations, {found} differences, {found - remaining} written")
        if remaining:
            raise SystemExit(1)

    def _one(self, organization: Organization, *, execute: bool) -> tuple[int, int]:
        """Return how many differences there are and how many of them remain; books that are sound are never locked."""
        with reconcile.snapshot():
            found = rebuilding.differences(organization=organization)
        if not found or not execute:
            self._print(organization, found)
            return len(found), len(found)
        try:
            with transactions.durable():
                found = rebuilding.rebuild(organization=organization, by=SYSTEM)
        except DatabaseError as error:
            self._print(organization, found)
            why = "somebody holds its rows, try again" if transactions.is_busy(error) else str(error).strip()
            self.stderr.write(f"{organization.public_id}: nothing was written: {why}")
            return len(found), len(found)
        self._print(organization, found)
        return len(found), 0

    def _print(self, organization: Organization, found: list[Difference]) -> None:
        for one in found:
            self.stdout.write(f"{organization.public_id}: {one}")
