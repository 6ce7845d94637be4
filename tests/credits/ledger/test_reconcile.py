"""`reconcile_credits` and the hourly verification: who is proved, what is said, and what is kept of it."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection

from credits.ledger import reconcile
from tests.factories import books
from tests.factories import credits as make
from tests.factories.books import plant

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def team():
    return books.everything()


class TestCommand:
    """`manage.py reconcile_credits`: 0 when all hold, 1 with a line per violation."""

    def test_says_how_much_it_proved(self, team, capsys):
        call_command("reconcile_credits")
        assert f"1 organizations, {len(reconcile.laws())} laws, 0 violations" in capsys.readouterr().out

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_names_every_violation_and_ends_with_1(self, team, capsys):
        plant("UPDATE credits_dailyusage SET requests = requests + 1")
        with pytest.raises(SystemExit) as ended:
            call_command("reconcile_credits", organization=team.public_id)
        assert ended.value.code == 1
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith(f"{team.public_id}: rollups equal a recount:") for line in lines[:-1])
        assert len(lines) > 1

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_tells_it_as_json(self, team, capsys):
        plant("UPDATE credits_dailyusage SET requests = requests + 1")
        with pytest.raises(SystemExit):
            call_command("reconcile_credits", json=True)
        told = json.loads(capsys.readouterr().out)
        assert {one["law"] for one in told["violations"]} == {"rollups equal a recount"}
        assert len(told["violations"]) > 1
        assert (told["organizations"], told["laws"]) == (1, len(reconcile.laws()))

    def test_of_sound_books_json_has_no_violations(self, team, capsys):
        call_command("reconcile_credits", json=True, organization=team.slug)
        assert json.loads(capsys.readouterr().out) == {
            "violations": [],
            "organizations": 1,
            "laws": len(reconcile.laws()),
        }

    def test_an_organization_that_is_not_there_is_refused(self):
        with pytest.raises(CommandError, match="There is no organization"):
            call_command("reconcile_credits", organization="org_none")


class TestVerifying:
    """The hourly job: burn, prove everybody, keep what was found."""

    def test_nothing_was_verified_before_the_first_time(self):
        assert reconcile.last() is None

    def test_sound_books_are_remembered_as_sound(self, team):
        made = reconcile.verify_all()
        assert reconcile.last() == made
        assert (made.organizations, made.laws, made.violations, made.found) == (
            1,
            len(reconcile.laws()),
            0,
            [],
        )
        assert made.started_at < made.finished_at

    def test_it_burns_first(self):
        team = make.team()
        grant = make.grant(team, 10)
        make.charged(team, None, "0.5")
        assert make.left(grant) == 10
        reconcile.verify_all()
        assert make.left(grant) == make.Decimal("9.5")

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_what_is_broken_is_stored_and_logged_as_an_error_and_not_mended(self, team, caplog):
        plant("UPDATE credits_dailyusage SET requests = requests + 1")
        made = reconcile.verify_all()
        assert made.violations == len(made.found) == _rows("SELECT count(*) FROM credits_dailyusage")[0][0]
        assert made.found[0].startswith(f"{team.public_id}: rollups equal a recount:")
        assert [record.levelname for record in caplog.records if "books.broken" in record.message] == [
            "ERROR"
        ]
        assert reconcile.verify_all().violations == made.violations

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_sentences_are_kept_of_a_hundred_and_all_are_counted(self, team):
        plant(
            "INSERT INTO credits_dailyusage (organization_id, day, department_id, user_id, service, provider, model, requests, tokens, credits)"
            f" SELECT {team.pk}, date '2020-01-01' + n, 0, gen_random_uuid(), 'x', '', '', 1, 1, 1 FROM generate_series(1, 150) n"
        )
        made = reconcile.verify_all()
        assert (made.violations, len(made.found)) == (150, 100)

    @pytest.mark.breaks_the_ledger("a grant is made to be used beyond itself")
    def test_books_that_cannot_be_burned_are_proved_all_the_same(self, team, monkeypatch, caplog):
        def refuse():
            raise IntegrityError("refused")

        monkeypatch.setattr(reconcile.burndown, "burn_due", refuse)
        assert reconcile.verify_all().violations == 0
        assert any("books.not_burned" in record.message for record in caplog.records)

    @pytest.mark.breaks_the_ledger("a law is made that cannot be read")
    def test_books_that_cannot_be_read_are_a_violation_of_their_own(self, team, monkeypatch):
        monkeypatch.setattr(reconcile, "laws", lambda: {"division": "SELECT 1 / 0, %(organization)s, ''"})
        made = reconcile.verify_all()
        assert made.violations == 1
        assert "books can be read" in made.found[0]


def test_organizations_are_listed_a_page_at_a_time(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(reconcile, "_PAGE", 2)
    teams = [make.team() for _ in range(5)]
    with django_assert_num_queries(4):
        assert [one.pk for one in reconcile.organizations()] == [team.pk for team in teams]


def _rows(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()
