"""Replays a trace of real requests through the running portal's REST API."""

import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing_portal.replay import trace
from billing_portal.replay.gateway import Gateway, Tally, Unreachable
from kit import transactions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import Organization


class Command(BaseCommand):
    """Every request of the file becomes a hold and a capture, priced as `--model`."""

    help = "Replay a trace (CSV TIMESTAMP,ContextTokens,GeneratedTokens) through the REST API as holds and captures."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--organization", required=True, help="who pays: public id or slug")
        parser.add_argument("--model", default="gpt-4o", help="priced as this model (default gpt-4o)")
        parser.add_argument("--rate", type=float, help="requests a second; as fast as it goes when left out")
        parser.add_argument("--limit", type=int, help="only the first N requests")
        parser.add_argument("--url", default=settings.SITE_URL, help="the portal (default SITE_URL)")
        parser.add_argument(
            "--key", help="an access key; one is issued for the replay and revoked after it when left out"
        )
        parser.add_argument("--connections", type=int, default=16, help="how many at once (default 16)")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = _organization(options["organization"])
        issued = None if options["key"] else _issue(organization)
        gateway = Gateway(
            url=options["url"].rstrip("/"),
            key=options["key"] or (issued.text if issued else ""),
            organization=organization.public_id,
            model=options["model"],
            run=f"trace-{uuid4().hex[:8]}",
            connections=options["connections"],
        )
        begun = time.monotonic()
        try:
            gateway.require_portal()
            requests = trace.read(options["file"], limit=options["limit"])
            tally = gateway.replay(requests, rate=options["rate"], progress=_Progress(self.stderr.isatty()))
        except (OSError, trace.BadTrace, Unreachable) as error:
            raise CommandError(str(error)) from None
        finally:
            if issued is not None:
                with transactions.durable():
                    keys.revoke(key=issued.key, by=SYSTEM)
        self._sum_up(tally, time.monotonic() - begun)

    def _sum_up(self, tally: Tally, seconds: float) -> None:
        self.stdout.write(
            f"{tally.sent:,} requests, {tally.captured:,} captured, {tally.refused:,} refused, {tally.failed:,} failed\n"
            f"{tally.credits:f} credits captured, {tally.shortfall:f} owed\n"
            f"{tally.sent / seconds:,.0f} requests a second ({len(tally.seconds) / seconds:,.0f} HTTP requests) in {seconds:,.1f} s\n"
            f"p50 {tally.percentile(50) * 1000:,.1f} ms, p99 {tally.percentile(99) * 1000:,.1f} ms an HTTP request"
        )
        for problem, count in sorted(tally.problems.items()):
            self.stdout.write(f"  {count:,} x {problem}")
        if tally.failed:
            raise CommandError(f"{tally.failed} captures failed.")


class _Progress:
    """A line on the terminal, drawn anew twice a second; every five seconds where there is no terminal."""

    def __init__(self, is_terminal: bool) -> None:  # noqa: FBT001 - what it is told
        self.is_terminal = is_terminal
        self.begun = self.drawn = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self.drawn < (0.5 if self.is_terminal else 5):
            return
        self.drawn = now
        line = f"{tally.sent:,} sent, {tally.refused:,} refused, {tally.credits:,.2f} credits, {tally.sent / (now - self.begun):,.0f}/s"
        sys.stderr.write(f"\r{line}\033[K" if self.is_terminal else f"{line}\n")
        sys.stderr.flush()


def _organization(name: str) -> Organization:
    found = (
        Organization.objects.filter(public_id=name).first() or Organization.objects.filter(slug=name).first()
    )
    if found is None:
        raise CommandError(f"There is no organization {name!r}; give its public id (org_…) or slug.")
    return found


def _issue(organization: Organization) -> keys.Issued:
    with transactions.durable():
        terms = keys.Terms(name="Replay of a trace", scopes=["usage:write"])
        return keys.issue_for_organization(organization=organization, terms=terms, by=SYSTEM)
