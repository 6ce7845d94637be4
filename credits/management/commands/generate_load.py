"""Fills a database for measuring: organizations, members and use, by COPY."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from credits.load import generating
from kit.errors import ValidationError


class Command(BaseCommand):
    """A large data set whose books hold every law; one organization has 5,000 members."""

    help = "Make a large data set by COPY; one organization has 5,000 members. Not for a database that people use."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organizations", type=int, required=True, metavar="N", help="in all")
        parser.add_argument("--members", type=int, required=True, metavar="M", help="of each other one")
        parser.add_argument("--usage", type=int, required=True, metavar="U", help="usage records in all")
        parser.add_argument("--yes", action="store_true", help="also where DEBUG is off")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG and not options["yes"]:
            raise CommandError(
                "DEBUG is off, so people may use this database: nothing was made. --yes makes it."
            )
        try:
            made = generating.generate(
                organizations=options["organizations"],
                members=options["members"],
                usage=options["usage"],
                told=lambda rows: self.stderr.write(f"\r{rows:,} rows", ending=""),
            )
        except ValidationError as error:
            raise CommandError(str(error)) from error
        self.stderr.write("")
        self.stdout.write(
            f"load-{made.tag}-0 … load-{made.tag}-{made.organizations - 1}: {made.organizations:,} organizations, "
            f"{made.members:,} members, {made.usage:,} usage records: {made.rows:,} rows in {made.seconds:,.0f} s "
            f"({made.rows / made.seconds:,.0f} a second)"
        )
