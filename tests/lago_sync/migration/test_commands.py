"""`migrate_users_to_orgs`: a dry run first, then doing it, then both sides compared; exit codes and report files tell."""

import csv
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from lago_sync.models import CustomerMigration
from orgs.models import Organization, User
from tests.lago_sync.migration.story import DAY

pytestmark = pytest.mark.django_db


def run(*arguments, code=0):
    """Run the command and return what it printed; `code` is how it must end."""
    said = StringIO()
    try:
        call_command("migrate_users_to_orgs", *map(str, arguments), stdout=said)
        ended = 0
    except SystemExit as end:
        ended = end.code
    assert ended == code, said.getvalue()
    return said.getvalue()


def billed(legacy):
    """Return all that Lago bills by."""
    dump = legacy.lago.dump()
    return [dump[name] for name in ("customer", "subscription", "wallet", "wallettransaction", "invoice")]


@pytest.fixture
def two(legacy):
    """Return a Lago with Ada, who has a plan and a wallet, and Bob, who has a wallet."""
    ada, bob = legacy.customer("ada"), legacy.customer("bob")
    legacy.subscribe(ada)
    legacy.wallet(ada, granted="1000")
    legacy.wallet(bob, paid="200")
    legacy.lago.advance(4 * DAY)
    return legacy


def test_a_list_is_shown_then_done_then_proved(two, tmp_path, capsys):
    mapping, report = tmp_path / "map.csv", tmp_path / "report.json"
    mapping.write_text("user_id,org_id,name,email\nada,org_ada,Ada & Co,\nBOB@example.com,org_bob,,\n")
    before = billed(two)
    said = run("--mapping-file", mapping, "--report", report)
    assert billed(two) == before
    assert not Organization.objects.filter(public_id="org_ada").exists()
    assert not CustomerMigration.objects.exists()
    assert not User.objects.filter(email="ada@example.com").exists()
    assert "A dry run" in said
    lines = {one["user_id"]: one for one in json.loads(report.read_text())}
    assert [lines["user_ada"][name] for name in ("org_name", "plan_code", "wallet", "credits", "status")] == [
        "Ada & Co", "starter", "$10.00", "1,000", "would move"]  # fmt: skip
    assert lines["user_ada"]["how"].startswith("billed from ")
    assert lines["user_bob"]["how"] == "no subscription"

    run("--mapping-file", mapping, "--verify", code=1)
    report = tmp_path / "report.csv"
    run("--mapping-file", mapping, "--execute", "--verify", "--report", report)
    two.lago.drain()
    assert "Migrating [" in capsys.readouterr().err
    rows = list(csv.DictReader(report.read_text().splitlines()))
    assert [(one["status"], one["wallet_credits"]) for one in rows] == [
        ("verified", "1000"),
        ("verified", "200"),
    ]
    counted = CustomerMigration.objects.count(), two.granted("org_ada"), len(two.lago.dump()["subscription"])
    assert "was moved before" in run("--mapping-file", mapping)
    run("--mapping-file", mapping, "--execute")
    assert counted == (
        CustomerMigration.objects.count(),
        two.granted("org_ada"),
        len(two.lago.dump()["subscription"]),
    )


def test_all_users_are_found_and_a_failure_stops_no_other(two):
    two.subscribe("user_bob")
    two.subscribe("user_bob", "professional")
    said = run("--execute", code=1)
    assert "2 customers, 1 in order, 1 not." in said
    assert {one.from_external_id: one.status for one in CustomerMigration.objects.all()} == {
        "user_ada": "done", "user_bob": "failed"}  # fmt: skip
    assert "2 live subscriptions" in run("--verify", code=1)
    two.ask("DELETE", "subscriptions/user_bob_professional_1700000000")
    two.ask("DELETE", "subscriptions/user_bob_starter_1700000000")
    two.lago.drain()
    run("--execute", "--verify")


def test_verify_finds_what_was_tampered_with(two, tmp_path):
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"user_ada": "org_ada", "user_bob": {"org_id": "org_bob"}}))
    run("--mapping-file", mapping, "--execute", "--verify")
    two.subscribe("user_ada")
    two.wallet("user_bob", granted="5")
    CustomerMigration.objects.filter(from_external_id="user_bob").update(wallet_credits=201)
    said = run("--verify", code=1)
    for what in ("is active", "old wallet", "201"):
        assert what in said
    two.ask("DELETE", "subscriptions/sub_org_ada")
    assert "does not show the subscription" in run("--verify", code=1)


def test_a_list_that_cannot_be_read_changes_nothing(legacy, tmp_path):
    for name, text, why in (
        ("a.csv", "user,org_id\n,org_x\n", "names no user"),
        ("b.csv", "user,org_id\nx,org_x\nuser_x,org_y\n", "named twice"),
        ("c.csv", "user,credits\nx,-5\n", "decimal of 0 or more"),
        ("d.csv", "user,org_id\nnobody@example.com,org_x\n", "0 user-based customers"),
        ("e.json", "[1]", "list of objects"),
        ("f.json", "{", "cannot be read"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(CommandError, match=why):
            run("--mapping-file", tmp_path / name, "--execute")
    with pytest.raises(CommandError, match="cannot be read"):
        run("--mapping-file", tmp_path / "missing.csv")
    assert "nobody to migrate" in run()
    (tmp_path / "g.csv").write_text("user,org_id\nuser_gone,org_x\n")
    assert "no customer user_gone" in run("--mapping-file", tmp_path / "g.csv", "--execute", code=1)
