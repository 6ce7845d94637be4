"""Proves the laws of the ledger; a line per violation."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credits.ledger import reconcile
from orgs.models import Organization


class Command(BaseCommand):
    """Exit 0 when every law holds, 1 with a line per violation."""

    help = "Prove the laws of the ledger: exit 0 when all hold, 1 with a line per violation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", help="public id or slug; all when left out")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = _chosen(options["organization"])
        broken = [one for organization in organizations for one in reconcile.prove(organization=organization)]
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {"organizations": len(organizations), "violations": [asdict(one) for one in broken]}
                )
            )
        else:
            for one in broken:
                self.stdout.write(str(one))
            self.stdout.write(
                f"{len(organizations)} organizations, {len(reconcile.laws())} laws, {len(broken)} violations"
            )
        if broken:
            raise SystemExit(1)


def _chosen(name: str | None) -> list[Organization]:
    if name is None:
        return list(Organization.objects.order_by("pk"))
    found = Organization.objects.filter(public_id=name) | Organization.objects.filter(slug=name)
    if not found:
        raise CommandError(f"There is no organization {name!r}; give its public id (org_…) or slug.")
    return list(found)
