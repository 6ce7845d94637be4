"""The audit log: a gapless chain in which every change shows, in a table that PostgreSQL lets nobody change."""

import pytest
from django.db import IntegrityError, connection, transaction

from kit import transactions
from orgs.audit import events
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
    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("at", "2020-01-01T00:00:00Z"),
            ("actor_kind", "key"),
            ("actor", "usr_bert"),
            ("address", "203.0.113.9"),
            ("action", "forged"),
            ("target", "elsewhere"),
            ("before", '{"x": 1}'),
            ("after", '{"number": 7}'),
            ("previous_hash", "0" * 64),
            ("hash", "0" * 64),
            ("sequence", 9),
            ("organization", "org_c"),
        ],
    )
    def test_notices_a_change_of_each_column(self, chain, column, value):
        tamper(f"UPDATE audit_auditevent SET {column} = %s WHERE id = %s", value, chain[1].pk)
        assert broken()

    def test_tests_every_column_that_there_is(self):
        tested = {
            mark.args[1][i][0]
            for mark in TestVerify.test_notices_a_change_of_each_column.pytestmark
            for i in range(12)
        }
        assert tested == {field.name for field in AuditEvent._meta.fields} - {"id"}

    @pytest.mark.parametrize("gone", [0, 1, 2])
    def test_notices_a_missing_event_the_last_included(self, chain, gone):
        tamper("DELETE FROM audit_auditevent WHERE id = %s", chain[gone].pk)
        assert broken()

    def test_notices_two_that_changed_places(self, chain):
        tamper("UPDATE audit_auditevent SET sequence = 99 WHERE id = %s", chain[0].pk)
        tamper("UPDATE audit_auditevent SET sequence = 1 WHERE id = %s", chain[1].pk)
        tamper("UPDATE audit_auditevent SET sequence = 2 WHERE id = %s", chain[0].pk)
        assert broken()

    def test_notices_a_head_that_was_wound_back(self, chain):
        AuditHead.objects.filter(pk="org_a").update(sequence=2, hash=chain[1].hash)
        assert broken()


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
