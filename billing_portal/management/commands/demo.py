"""Loads the demo and carries it forward to today; running it again changes nothing else."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing_portal.demo import buying, history, paying, sharing, teams
from billing_portal.demo.cast import PASSWORD, PEOPLE
from billing_portal.embedded import sandbox
from billing_portal.embedded.places import PORTAL
from kit import transactions
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import catalogue
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Organization, User


class Command(BaseCommand):
    """`make run` runs this each time."""

    help = (
        "Load the demo: three teams and a person alone, with four weeks of use up to today. Only with DEBUG."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo has a public password: it loads only while DEBUG is on.")
        if not settings.LAGO_IS_SANDBOX:
            raise CommandError("The demo buys and pays in the Lago sandbox: unset LAGO_API_URL.")
        made = teams.found()
        with sandbox.running():
            installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
            catalogue.refresh(now=timezone.now())
            buying.buy(made)
            paying.arrange(made)
        teams.fill()
        counts = {team.name: history.carry_forward(organization=team) for team in made.values()}
        sharing.set_up()
        _write_notes()
        self.stdout.write(
            "Demo: " + ", ".join(f"{name} {count:,} new calls" for name, count in counts.items())
        )


def _write_notes() -> None:
    """Keep who may sign in, and a working key, where `make run` reads them: a key's text is shown only once."""
    path = PORTAL.folder / "demo.json"
    notes = json.loads(path.read_text()) if path.exists() else {}
    key = _working(notes.get("key", "")) or _issue_for_member()
    owner_key = _working(notes.get("owner_key", "")) or _issue_for_owner()
    curl = (
        f"curl -s -X POST {settings.SITE_URL}/api/v1/usage/charges -H 'Authorization: Bearer {key}' "
        """-H 'Content-Type: application/json' -d '{"transaction_id": "hello-1", "credits": "0.5", "service": "chat"}'"""
    )
    sign_ins = [{"email": one.email, "password": PASSWORD, "sees": one.sees} for one in PEOPLE if one.sees]
    path.write_text(
        json.dumps({"key": key, "owner_key": owner_key, "curl": curl, "sign_ins": sign_ins}, indent=1)
    )
    path.chmod(0o600)


def _working(key: str) -> str:
    return key if key and keys.find(key) is not None else ""


def _issue_for_owner() -> str:
    """Issue the personal key of Acme's owner with which `make e2e` makes its own organization."""
    owner = User.objects.get(email="owner@acme.example")
    terms = keys.Terms(name="Journey of make e2e", scopes=AccessKey.Scope.values)
    with transactions.durable():
        return keys.issue_personal(user=owner, terms=terms, by=SYSTEM).text


def _issue_for_member() -> str:
    """Issue a key of the demo's member, who has an allocation."""
    member = User.objects.get(email="member@acme.example")
    acme = Organization.objects.get(slug="acme")
    terms = keys.Terms(name="Demo", scopes=["usage:write", "credits:read", "org:read"])
    with transactions.durable():
        membership = acme.memberships.get(user=member)
        return keys.issue_for_membership(membership=membership, terms=terms, by=SYSTEM).text
