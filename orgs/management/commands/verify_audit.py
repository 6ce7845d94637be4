"""Proves that no audit event was changed, removed or moved; a line per broken link."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from orgs.audit import events
from orgs.audit.models import PLATFORM, AuditHead
from orgs.models import Organization


class Command(BaseCommand):
    """Exit 0 when every chain is whole, 1 with a line per broken link."""

    help = "Prove the audit log: exit 0 when every chain is whole, 1 with a line per broken link."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--organization", metavar="ORG", help="public id or slug, or `platform`; all when left out"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print JSON, with the head of each chain: kept elsewhere, it tells of an end that was cut off",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chains = events.chains() if options["organization"] is None else [_chain(options["organization"])]
        broken = [link for chain in chains for link in events.verify(organization=chain)]
        heads = list(
            AuditHead.objects.filter(pk__in=chains).order_by("pk").values("organization", "sequence", "hash")
        )
        if options["json"]:
            self.stdout.write(json.dumps({"broken": broken, "chains": len(chains), "heads": heads}))
        else:
            counted = sum(head["sequence"] for head in heads)
            self.stdout.write(
                "\n".join([*broken, f"{len(chains)} chains, {counted} events, {len(broken)} broken links"])
            )
        if broken:
            raise SystemExit(1)


def _chain(name: str) -> str:
    """Return the chain of the organization of this public id or slug; of what was deleted, by its public id."""
    if name == PLATFORM or AuditHead.objects.filter(pk=name).exists():
        return name
    found = Organization.objects.filter(Q(public_id=name) | Q(slug=name)).first()
    if found is None:
        raise CommandError(f"There is no organization {name!r}; give its public id (org_…) or slug.")
    return found.public_id
