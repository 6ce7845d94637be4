"""The audit log: a gapless chain in which every change shows, in a table that PostgreSQL lets nobody change."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from kit import transactions
from orgs import tasks
from orgs.audit import events, proofs
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent, AuditHead
from tests.orgs.racing import race

pytestmark = pytest.mark.django_db
ANNA = Actor(kind="user", public_id="usr_anna", address="192.0.2.1")


@pytest.fixture
def chain():
    """Three events of one organization and one of another."""
    with transaction.atomic():
        for number in range(3):
            events.record(
                organization="org_a", by=ANNA, action="tested", target=f"t{number}", after={"number": number}
            )
        events.record(organization="org_b", by=ANNA, action="tested")
    return list(AuditEvent.objects.filter(organization="org_a").order_by("sequence"))


def broken(organization: str = "org_a") -> list[str]:
    return list(events.verify(organization=organization))


def tamper(sql: str, *values: str | int) -> None:
    """Change evidence as an attacker would who took the triggers off first."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER ALL")
        cursor.execute(sql, values)
        cursor.execute("ALTER TABLE audit_auditevent ENABLE ALWAYS TRIGGER append_only")


class TestRecord:
    def test_counts_and_chains_each_organization_by_itself(self, chain):
        assert [event.sequence for event in chain] == [1, 2, 3]
        assert [event.previous_hash for event in chain] == ["", chain[0].hash, chain[1].hash]
        assert AuditEvent.objects.get(organization="org_b").sequence == 1
        assert broken() == broken("org_b") == []
        assert {"org_a", "org_b"} <= set(events.chains())

    def test_keeps_what_json_has_no_word_for_as_it_is_read_again(self):
        from datetime import UTC, datetime
        from decimal import Decimal

        facts = {"at": datetime(2027, 1, 1, 12, 30, 15, 123456, tzinfo=UTC), "credits": Decimal("1.500000")}
        with transaction.atomic():
            events.record(organization="org_a", by=ANNA, action="tested", before=facts)
        assert AuditEvent.objects.get().before["credits"] == "1.500000"
        assert broken() == []

    def test_leaves_nothing_of_a_transaction_that_failed(self, chain):
        with transaction.atomic():
            events.record(organization="org_a", by=ANNA, action="tested")
            transaction.set_rollback(True)
        assert AuditHead.objects.get(pk="org_a").sequence == 3
        assert broken() == []


class TestVerify:
    """Every attack is undone before the next, so that each is judged against a whole chain."""

    CHANGES = {
        "at": "2020-01-01T00:00:00Z",
        "actor_kind": "key",
        "actor": "usr_bert",
        "address": "203.0.113.9",
        "action": "forged",
        "target": "elsewhere",
        "before": '{"x": 1}',
        "after": '{"number": 7}',
        "previous_hash": "0" * 64,
        "hash": "",
        "sequence": 9,
        "organization": "org_c",
    }

    def after(self, *changes):
        """Return what is broken after these statements, and put everything back."""
        point = transaction.savepoint()
        for sql, *values in changes:
            tamper(sql, *values)
        found = [line for chain in events.chains() for line in events.verify(organization=chain)]
        transaction.savepoint_rollback(point)
        assert broken() == []
        return found

    def test_notices_a_change_of_each_column_of_each_event(self, chain):
        assert set(self.CHANGES) == {field.name for field in AuditEvent._meta.fields} - {"id"}
        for event in chain:
            for column, value in self.CHANGES.items():
                change = f"UPDATE audit_auditevent SET {column} = %s WHERE id = %s"
                assert self.after((change, value, event.pk)), (event.sequence, column)

    def test_notices_each_missing_event_the_last_and_all_included(self, chain):
        for event in chain:
            assert self.after(("DELETE FROM audit_auditevent WHERE id = %s", event.pk))
        assert self.after(("DELETE FROM audit_auditevent WHERE organization = 'org_a'",))

    def test_notices_two_that_changed_places(self, chain):
        moves = [(99, chain[0].pk), (1, chain[1].pk), (2, chain[0].pk)]
        assert self.after(
            *(("UPDATE audit_auditevent SET sequence = %s WHERE id = %s", *one) for one in moves)
        )

    def test_notices_one_that_was_put_in(self, chain):
        copied = (
            "organization, at, actor_kind, actor, address, action, target, before, after, previous_hash, hash"
        )
        for sequence in (0, 4, -5):
            put = f"INSERT INTO audit_auditevent (sequence, {copied}) SELECT %s, {copied} FROM audit_auditevent WHERE id = %s"
            assert self.after((put, sequence, chain[2].pk)), sequence

    def test_notices_a_head_that_was_wound_back_or_is_gone(self, chain):
        back = "UPDATE audit_audithead SET sequence = 2, hash = %s WHERE organization = 'org_a'"
        assert self.after((back, chain[1].hash))
        assert self.after(("DELETE FROM audit_audithead WHERE organization = 'org_a'",))

    def test_reads_long_chains_in_parts(self, chain, monkeypatch):
        monkeypatch.setattr(events, "_READ_TOGETHER", 2)
        assert broken() == []
        assert self.after(("UPDATE audit_auditevent SET target = 'x' WHERE id = %s", chain[2].pk))


class TestProofs:
    def test_the_job_writes_what_it_found_and_says_it_aloud(self, chain, caplog):
        assert proofs.last() is None
        assert tasks.verify_audit() == 0
        first = proofs.last()
        assert (first.chains, first.events, first.broken, first.found) == (3, 4, 0, ())
        tamper("UPDATE audit_auditevent SET target = 'x' WHERE id = %s", chain[1].pk)
        assert tasks.verify_audit() == 0  # it was today
        assert proofs.verify_daily(now=first.at + timedelta(days=1)) == 1
        assert proofs.last().found == ("org_a: event 2 was changed",)
        assert "audit.broken: 1 links, first org_a: event 2 was changed" in caplog.text

    def test_the_command_ends_with_0_or_1_and_a_line_per_broken_link(self, chain, capsys):
        call_command("verify_audit")
        assert "3 chains, 4 events, 0 broken links" in capsys.readouterr().out
        tamper("UPDATE audit_auditevent SET target = 'x' WHERE id = %s", chain[1].pk)
        with pytest.raises(SystemExit, match="1"):
            call_command("verify_audit", "--organization", "org_a")
        assert capsys.readouterr().out.splitlines()[0] == "org_a: event 2 was changed"
        with pytest.raises(SystemExit, match="1"):
            call_command("verify_audit", "--json")
        told = json.loads(capsys.readouterr().out)
        assert told["broken"] == ["org_a: event 2 was changed"]
        assert {head["organization"]: head["sequence"] for head in told["heads"]} == {"org_a": 3, "org_b": 1}
        call_command("verify_audit", "--organization", "org_b")
        with pytest.raises(CommandError, match="no organization"):
            call_command("verify_audit", "--organization", "nobody")


class TestDatabase:
    """Append-only whoever asks; the tests' role is a superuser."""

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE audit_auditevent SET action = action",
            "DELETE FROM audit_auditevent",
            "TRUNCATE audit_auditevent",
            "INSERT INTO audit_auditevent SELECT * FROM audit_auditevent WHERE false; DELETE FROM audit_auditevent",
        ],
    )
    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_refuses(self, chain, sql, role):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('is_superuser')")
            assert cursor.fetchone() == ("on",)
            cursor.execute("SET LOCAL portal.allow_truncate = 'off'")
            cursor.execute(f"SET LOCAL session_replication_role = '{role}'")
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                cursor.execute(sql)
        assert AuditEvent.objects.count() == 4

    def test_empties_only_for_who_says_that_it_is_a_test(self, chain):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL portal.allow_truncate = 'on'")
            cursor.execute("TRUNCATE audit_auditevent")
        assert not AuditEvent.objects.exists()

    def test_has_a_sequence_once_per_organization(self, chain):
        with (
            pytest.raises(IntegrityError, match="audit_sequence_once_per_organization"),
            transaction.atomic(),
        ):
            AuditEvent.objects.bulk_create([AuditEvent(organization="org_a", sequence=1, at=chain[0].at)])


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_eight_at_once_make_one_chain_without_a_gap():
    def append():
        with transactions.durable():
            events.record(organization="org_race", by=ANNA, action="tested")

    race(*[append] * 8)
    assert AuditHead.objects.get(pk="org_race").sequence == 8
    assert broken("org_race") == []


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_without_the_lock_some_of_eight_are_refused(monkeypatch):
    """Negative control: read the head without locking it, and two write the same sequence."""
    manager = type(AuditHead.objects)
    monkeypatch.setattr(manager, "select_for_update", lambda self, **_: self.all())

    def append():
        with transactions.durable():
            events.record(organization="org_race", by=ANNA, action="tested")

    outcomes = [outcome for _ in range(5) for outcome in race(*[append] * 8)]
    assert any(isinstance(outcome, IntegrityError) for outcome in outcomes)
