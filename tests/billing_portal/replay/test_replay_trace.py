"""`manage.py replay_trace`: every request of a trace is held and captured over HTTP, and page and ledger agree with it."""

import re
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from billing_portal.replay.gateway import Gateway
from credits import amounts
from credits.ledger import guesses
from credits.models import Hold, UsageRecord
from credits.pricing import table
from kit.identifiers import public_id
from orgs.models import AccessKey
from tests.factories import credits as ledger

TRACE = Path(__file__).resolve().parents[4] / "shared" / "data" / "azure_llm_conversations.csv"
LINES = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.99,396,109\n2023-11-16 18:15:51.22,879,55\n"


@pytest.fixture
def team(transactional_db):
    table.forget()
    guesses.forget()
    return ledger.team(1_000)


def replay(live_server, team, file, **options):
    said = StringIO()
    call_command(
        "replay_trace",
        file,
        organization=team.slug,
        url=live_server.url,
        connections=2,
        stdout=said,
        **options,
    )
    return said.getvalue()


@pytest.mark.concurrency
class TestReplayTrace:
    def test_holds_and_captures_every_request_and_says_what_it_cost(self, live_server, team, tmp_path):
        file = tmp_path / "trace.csv"
        file.write_text(LINES)

        said = replay(live_server, team, file, model="gpt-4o")

        taken = sum((row.credits for row in UsageRecord.objects.filter(organization=team)), Decimal(0))
        assert "3 requests, 3 captured, 0 refused, 0 failed" in said
        assert f"{amounts.text(taken)}" in said.replace("00 credits", " credits") or str(taken) in said
        assert re.search(r"p50 [\d.,]+ ms, p99 [\d.,]+ ms", said)
        assert set(Hold.objects.filter(organization=team).values_list("status", flat=True)) == {"captured"}
        # (374 + 396 + 879) input tokens at $2.50 and (44 + 109 + 55) output tokens at $10.00 a million, enterprise markup 10 %
        assert taken == sum(
            amounts.from_money(
                Decimal(i) * 25 / 10_000_000 + Decimal(o) / 100_000, markup_percent=Decimal(10)
            )
            for i, o in ((374, 44), (396, 109), (879, 55))
        )

    def test_counts_what_the_portal_refuses(self, live_server, tmp_path, team):
        poor = ledger.team(Decimal("0.15"))
        file = tmp_path / "trace.csv"
        file.write_text(LINES)

        said = replay(live_server, poor, file, model="gpt-4o")

        assert "402 insufficient_credits" in said
        assert UsageRecord.objects.filter(organization=poor).count() < 3

    def test_revokes_the_key_that_it_issued(self, live_server, team, tmp_path):
        file = tmp_path / "trace.csv"
        file.write_text(LINES)

        replay(live_server, team, file)

        [key] = AccessKey.objects.filter(organization=team)
        assert key.revoked_at is not None

    def test_the_page_of_the_organization_shows_the_sum_of_the_captures(self, live_server, team):
        if not TRACE.exists():
            pytest.skip(f"the real trace is not at {TRACE}")
        owner = team.memberships.get(role="owner").user

        replay(live_server, team, TRACE, limit=60)

        taken = sum((row.credits for row in UsageRecord.objects.filter(organization=team)), Decimal(0))
        client = Client()
        client.force_login(owner)
        page = client.get(f"/orgs/{team.slug}/").content.decode()
        assert UsageRecord.objects.filter(organization=team).count() == 60
        assert amounts.display(taken) in page


class TestWithoutAPortal:
    def test_says_so_at_once(self, db, tmp_path):
        team = ledger.team(1)

        with pytest.raises(CommandError, match="No portal answers at"):
            call_command(
                "replay_trace", tmp_path / "x.csv", organization=team.public_id, url="http://127.0.0.1:1"
            )


class TestABadTrace:
    @pytest.fixture(autouse=True)
    def _portal_answers(self, monkeypatch):
        monkeypatch.setattr(Gateway, "require_portal", lambda self: None)

    def test_names_the_line(self, db, tmp_path):
        team = ledger.team(1)
        file = tmp_path / "trace.csv"
        file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nnow,many,few\n")

        with pytest.raises(CommandError, match="line 2: tokens must be whole numbers"):
            call_command("replay_trace", file, organization=team.public_id)

    def test_without_the_header_is_refused(self, db, tmp_path):
        team = ledger.team(1)
        file = tmp_path / "trace.csv"
        file.write_text("a,b\n1,2\n")

        with pytest.raises(CommandError, match="the first line must be TIMESTAMP"):
            call_command("replay_trace", file, organization=team.public_id)

    def test_for_an_unknown_organization_is_refused(self, db, tmp_path):
        with pytest.raises(CommandError, match="There is no organization"):
            call_command("replay_trace", tmp_path / "x.csv", organization=public_id("org"))
