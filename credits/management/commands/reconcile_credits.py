"""Proves the laws of the ledger; a line per violation."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from credits.ledger import reconcile
from credits.ledger.reconcile import Proof
from credits.management.naming import organization_named


class Command(BaseCommand):
    """Exit 0 when every law holds, 1 with a line per violation."""

    help = "Prove the laws of the ledger: exit 0 when all hold, 1 with a line per violation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="ORG", help="public id or slug; all when left out")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        proofs = _proofs(options["organization"])
        violations = self._as_json(proofs) if options["json"] else self._as_text(proofs)
        if violations:
            raise SystemExit(1)

    def _as_text(self, proofs: Iterator[Proof]) -> int:
        organizations = violations = 0
        for proof in proofs:
            organizations += 1
            violations += len(proof.violations)
            for one in proof.violations:
                self.stdout.write(str(one))
        self.stdout.write(
            f"{organizations} organizations, {len(reconcile.laws())} laws, {violations} violations"
        )
        return violations

    def _as_json(self, proofs: Iterator[Proof]) -> int:
        """Print one JSON object, written as it is found: nothing is kept of ten thousand organizations."""
        organizations = violations = 0
        self.stdout.write('{"violations": [', ending="")
        for proof in proofs:
            organizations += 1
            for one in proof.violations:
                self.stdout.write(("," if violations else "") + json.dumps(asdict(one)))
                violations += 1
        self.stdout.write(f'], "organizations": {organizations}, "laws": {len(reconcile.laws())}}}')
        return violations


def _proofs(name: str | None) -> Iterator[Proof]:
    if name is None:
        reconcile.burn()
        yield from reconcile.proofs()
        return
    organization = organization_named(name)
    reconcile.burn(organization=organization)
    yield Proof(organization=organization.public_id, violations=reconcile.prove(organization=organization))
