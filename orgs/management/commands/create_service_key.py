"""`manage.py create_service_key NAME --scopes usage:write …`: a platform key for a gateway, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kit import transactions
from kit.errors import ValidationError
from orgs.access import keys
from orgs.audit.events import Actor
from orgs.models import AccessKey

OPERATOR = Actor(kind="operator", public_id="manage.py")


class Command(BaseCommand):
    help = "Issue a platform key (cpk_…) for a gateway: any organization and user. It is printed once and kept only as a hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the audit log and the list of keys call it")
        parser.add_argument(
            "--scopes", nargs="+", required=True, metavar="SCOPE", help=", ".join(AccessKey.Scope.values)
        )
        parser.add_argument(
            "--allow",
            nargs="*",
            default=[],
            metavar="ADDRESS",
            help="addresses or networks it may be used from",
        )

    def handle(self, *args: Any, name: str, scopes: list[str], allow: list[str], **options: Any) -> None:
        terms = keys.Terms(name=name, scopes=scopes, allowed_addresses=allow)
        try:
            with transactions.durable():
                issued = keys.issue_platform(terms=terms, by=OPERATOR)
        except ValidationError as error:
            raise CommandError(error.message) from error
        self.stdout.write(issued.text)
