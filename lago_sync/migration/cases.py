"""One migration under way: its row, whom it is about, and what every step of it needs."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from kit import transactions
from lago_sync.client.transport import Json
from lago_sync.errors import LagoIntegrationError
from lago_sync.migration.candidates import Candidate
from lago_sync.migration.moves import Move
from lago_sync.models import CustomerMigration
from orgs.audit.events import Actor
from orgs.models import Organization


class CannotMigrate(LagoIntegrationError):
    """Something at Lago or here must be seen to by a person first; nothing was moved by this step."""

    code = "conflict"
    status = 409


@dataclass(slots=True, kw_only=True)
class Case:
    """A migration's row and what its steps act on; `customer` is Lago's user-based one as it was found.

    `lagos_now` is the time by Lago's clock, as far as it has shown it. `run` marks who is at work: the last to begin.
    """

    row: CustomerMigration
    candidate: Candidate
    customer: Json
    by: Actor
    now: datetime
    lagos_now: datetime
    run: str

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.row.facts
        return found

    @property
    def move(self) -> Move | None:
        kept = self.facts.get("move")
        return Move.read(kept) if kept else None

    @property
    def said_credits(self) -> Decimal | None:
        """How many credits the list says that the wallets stand for."""
        said = self.facts.get("credits")
        return Decimal(said) if said else None

    @property
    def organization(self) -> Organization:
        if self.row.organization is None:
            raise CannotMigrate("The organization is not made yet.")
        return self.row.organization

    def note(self, *, step: str = "", **facts: Any) -> None:
        """Keep what was decided or seen, and which step is done, before anything goes on.

        Raises CannotMigrate where another run has begun with this customer since: that one carries on, and this one stops.
        """
        self.row.facts = {**self.facts, **facts}
        self.row.step = step or self.row.step
        with transactions.durable():
            is_mine = self.mine().update(facts=self.row.facts, step=self.row.step)
        if not is_mine:
            raise CannotMigrate("Another run has taken it over.")

    def mine(self) -> QuerySet[CustomerMigration]:
        """Return the row while no other run has begun with it."""
        return CustomerMigration.objects.filter(pk=self.row.pk, facts__run=self.run)
