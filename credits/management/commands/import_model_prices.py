"""`manage.py import_model_prices FILE`: the price table from LiteLLM's model cost map (JSON) or from a CSV."""

import hashlib
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credits.ledger import statements
from credits.pricing import cost_map, importing, price_sheet
from credits.pricing.importing import Changes
from credits.pricing.offers import BadPrices, PriceList
from kit import transactions
from orgs.audit.events import Actor
from orgs.models import Organization

OPERATOR: Final = Actor(kind="operator", public_id="manage.py")
_SHOWN: Final = 3


class Command(BaseCommand):
    help = "Import prices from LiteLLM's model cost map (JSON) or a CSV (docs/prices.md). All or nothing; a second run changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="model_prices_and_context_window.json, or a .csv")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and write nothing")
        parser.add_argument(
            "--organization",
            metavar="ORG",
            help="public id or slug: import as that organization's own prices",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            raw = path.read_bytes()
            prices = price_sheet.read(raw) if path.suffix.lower() == ".csv" else cost_map.read(raw)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        except BadPrices as error:
            raise CommandError(f"{path.name}: {error.message}\nNothing was changed.") from error
        organization = _organization(options["organization"])
        if options["dry_run"]:
            changes = importing.compare(prices=prices, organization=organization, at=statements.clock())
        else:
            with transactions.durable():
                changes = importing.run(
                    prices=prices,
                    organization=organization,
                    source=path.name,
                    digest=hashlib.sha256(raw).hexdigest(),
                    by=OPERATOR,
                )
        self.stdout.write("\n".join(_told(prices, changes)))
        if options["dry_run"]:
            self.stdout.write("A dry run: nothing was written.")


def _organization(name: str | None) -> Organization | None:
    if name is None:
        return None
    found = Organization.objects.filter(public_id=name) | Organization.objects.filter(slug=name)
    if not found:
        raise CommandError(f"There is no organization {name!r}; give its public id (org_…) or slug.")
    return found.get()


def _told(prices: PriceList, changes: Changes) -> list[str]:
    """Return what the file had, what of it changes the table, and what was skipped and why."""
    free = sum(offer.is_free for offer in prices.offers.values())
    skipped = sum(len(names) for names in prices.skipped.values())
    return [
        f"{prices.entries:,} entries, {len(prices.offers):,} prices ({free:,} of them free), {skipped:,} skipped",
        *(
            f"  {len(names):,} skipped: {why} ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
            for why, names in sorted(prices.skipped.items(), key=lambda item: -len(item[1]))
        ),
        f"{len(changes.new):,} new, {len(changes.changed):,} changed, {changes.unchanged:,} unchanged",
        f"{changes.not_named:,} prices of the table are not in the file and stay as they are",
    ]
