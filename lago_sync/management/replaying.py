"""What `replay_outbox` and `replay_webhooks` share: which dead letters, what is printed, how they exit."""

from abc import abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from django.core.management.base import BaseCommand
from django.db.models import Model, QuerySet
from django.utils import timezone

from credits.management.naming import organization_named
from kit import transactions
from kit.errors import DomainError
from orgs.audit.events import Actor

Letter = TypeVar("Letter", bound=Model)

OPERATOR: Final = Actor(kind="operator", public_id="manage.py")


class ReplayCommand(BaseCommand, Generic[Letter]):
    """Let dead letters try again from the start, each in a transaction of its own and on record.

    Exit 0 where all that were chosen were put back, or none was there; 1 where one could not be.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", metavar="ORG", help="public id or slug; all when left out")
        parser.add_argument(
            "--since", type=moment, metavar="TIME", help="2026-11-21 or 2026-11-21T10:00+01:00 (UTC)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only print them")

    def handle(self, *args: Any, **options: Any) -> None:
        name, now = options["organization"], timezone.now()
        public_id = organization_named(name).public_id if name else ""
        found = done = 0
        for letter in self._each(self.dead(organization=public_id, since=options["since"])):
            found += 1
            self.stdout.write(self.line(letter))
            done += 0 if options["dry_run"] else self._replayed(letter, now)
        if options["dry_run"]:
            self.stdout.write(f"{found} dead letters; nothing was done")
            return
        self.stdout.write(f"{found} dead letters, {done} put back")
        if done < found:
            raise SystemExit(1)

    @abstractmethod
    def dead(self, *, organization: str, since: datetime | None) -> QuerySet[Letter]:
        """Return the dead letters of an organization (public id, "" for all) since a moment, oldest first."""

    @abstractmethod
    def replay(self, letter: Letter, now: datetime) -> None:
        """Put one back; raises DomainError where it is none any more."""

    @abstractmethod
    def line(self, letter: Letter) -> str:
        """Return what is printed of one."""

    def _each(self, letters: QuerySet[Letter]) -> Iterator[Letter]:
        """Yield them without keeping a transaction or a cursor open meanwhile."""
        keys = list(letters.values_list("pk", flat=True))
        for start in range(0, len(keys), 100):
            yield from letters.filter(pk__in=keys[start : start + 100])

    def _replayed(self, letter: Letter, now: datetime) -> bool:
        try:
            with transactions.durable():
                self.replay(letter, now)
        except DomainError as error:
            self.stderr.write(f"{letter.pk}: {error.message}")
            return False
        return True


def moment(text: str) -> datetime:
    """Return the moment that a command line names; a day is its first, without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time such as 2026-11-21T10:00") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
