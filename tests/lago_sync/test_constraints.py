"""What the database refuses by itself, asked past every verb: one case a constraint of `lago_sync`."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from lago_sync.models import (
    AutoTopUp,
    CustomerMigration,
    LagoCustomer,
    Package,
    PlanChange,
    Provision,
    Purchase,
    Refund,
)
from tests.factories import orgs
from tests.lago_sync.invoices.story import mirrored
from tests.lago_sync.outbox.story import wrote

pytestmark = pytest.mark.django_db


def refused(constraint: str, sql: str, *values: Any) -> None:
    """Run SQL that must break exactly this constraint."""
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def purchase():
    return Purchase.objects.create(
        organization=orgs.team(), credits=100, amount_cents=100, currency="USD", made_by="usr_1", idempotency_key="k"
    )  # fmt: skip


def change(row: object, assignment: str) -> str:
    return f"UPDATE {row._meta.db_table} SET {assignment} WHERE {row._meta.pk.column} = %s"  # type: ignore[attr-defined]


class TestPurchases:
    def test_have_what_their_status_says(self, purchase):
        for constraint, assignment in (
            ("purchase_status_is_known", "status = 'paid'"),
            ("purchase_has_credits_and_a_price", "credits = 0"),
            ("purchase_has_credits_and_a_price", "amount_cents = 0"),
            ("purchase_waiting_is_known_to_lago", "status = 'awaiting_payment'"),
            ("purchase_completed_has_its_grant_and_payment", "status = 'completed'"),
            ("purchase_completed_has_its_grant_and_payment", "status = 'refunded'"),
            ("purchase_completed_has_its_grant_and_payment", "status = 'disputed'"),
            ("purchase_completed_has_its_grant_and_payment", "completed_at = now()"),
        ):
            refused(constraint, change(purchase, assignment), purchase.pk)

    def test_are_one_a_key_and_one_open_automatic_an_organization(self, purchase):
        Purchase.objects.update(is_automatic=True)
        copy = (
            "INSERT INTO lago_sync_purchase (id, organization_id, credits, amount_cents, currency, status, made_by, "
            "idempotency_key, return_url, is_automatic, created_at, attempts, due_at, last_error, drift, invoice_number, "
            "payment_url, marked_paid_by, payment_reference, marked_paid_because) SELECT %s, organization_id, credits, "
            "amount_cents, currency, %s, made_by, %s, '', true, now(), 0, now(), '', '', '', '', '', '', '' FROM lago_sync_purchase"
        )
        refused("purchase_once_per_key", copy, uuid4(), "failed", "k")
        refused("purchase_one_open_automatic", copy, uuid4(), "pending", "other")
        with connection.cursor() as cursor:
            cursor.execute(copy, (uuid4(), "failed", "other"))  # one that is not open stands beside it


def test_a_refund_adds_up_is_of_a_known_kind_and_once_a_reference(purchase):
    row = Refund.objects.create(
        purchase=purchase, kind="refund", credits=5, withdrawn=2, owed=3, amount_cents=5, reference="re", reason="r", made_by="u"
    )  # fmt: skip
    for constraint, assignment in (
        ("refund_adds_up", "owed = 4"),
        ("refund_adds_up", "credits = 0, withdrawn = 0, owed = 0"),
        ("refund_adds_up", "amount_cents = -1"),
        ("refund_adds_up", "withdrawn = -1, owed = 6"),
        ("refund_kind_is_known", "kind = 'gift'"),
    ):
        refused(constraint, change(row, assignment), row.pk)
    with pytest.raises(IntegrityError, match="refund_once_per_reference"), transaction.atomic():
        Refund.objects.create(
            purchase=purchase, kind="refund", credits=1, withdrawn=1, owed=0, amount_cents=1, reference="re", reason="r", made_by="u"
        )  # fmt: skip


def test_auto_top_up_buys_one_thing_has_caps_and_is_off_once_it_stopped():
    row = AutoTopUp.objects.create(
        organization=orgs.team(), threshold=1, package=Package.objects.get(code="credits-5000"), day_cap_cents=5, month_cap_cents=5,
        currency="USD", changed_by="u", is_on=True,
    )  # fmt: skip
    for constraint, assignment in (
        ("auto_top_up_buys_one_thing", "credits = 5"),
        ("auto_top_up_buys_one_thing", "package_id = NULL"),
        ("auto_top_up_buys_one_thing", "package_id = NULL, credits = 0"),
        ("auto_top_up_has_caps", "day_cap_cents = 0"),
        ("auto_top_up_has_caps", "month_cap_cents = 4"),
        ("auto_top_up_has_caps", "threshold = -1"),
        ("auto_top_up_stopped_is_off", "stopped_at = now()"),
    ):
        refused(constraint, change(row, assignment), row.pk)


def test_a_customer_of_lago_is_one_organizations():
    one, other = orgs.team(), orgs.team()
    made = LagoCustomer.objects.create(organization=one, lago_id=uuid4(), wallet_id=uuid4(), currency="USD")
    for column in ("lago_id", "wallet_id"):
        fresh = {"lago_id": uuid4(), "wallet_id": uuid4()} | {column: getattr(made, column)}
        with pytest.raises(IntegrityError, match=column), transaction.atomic():
            LagoCustomer.objects.create(organization=other, currency="USD", **fresh)


def test_a_migration_is_of_a_known_status_and_once_a_customer_and_a_line_is_provisioned_once():
    row = CustomerMigration.objects.create(
        from_external_id="user_1", organization_public_id="org_1", organization_name="One", made_by="u"
    )
    refused("migration_status_is_known", change(row, "status = 'lost'"), row.pk)
    for table, constraint, one in (
        ("lago_sync_customermigration", "from_external_id", row),
        ("lago_sync_provision", "name_key", Provision.objects.create(name_key="line", made_by="u")),
    ):
        names = ", ".join(field.column for field in one._meta.concrete_fields if not field.primary_key)
        refused(constraint, f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}")


def test_the_mail_of_an_invoice_is_known_and_due_while_it_waits():
    row = mirrored(orgs.team())
    for constraint, assignment in (
        ("lago_invoice_mail_is_known", "mail = 'lost'"),
        ("lago_invoice_mail_is_due", "mail = 'pending', mail_due_at = NULL"),
    ):
        refused(constraint, change(row, assignment), row.pk)


def test_a_change_of_plan_is_of_a_known_kind_says_when_it_ended_and_is_under_way_alone():
    row = PlanChange.objects.create(organization=orgs.team(), kind="upgrade", made_by="usr_1")
    for constraint, assignment in (
        ("plan_change_kind_is_known", "kind = 'sideways'"),
        ("plan_change_ended_says_when", "status = 'applied'"),
        ("plan_change_ended_says_when", "status = 'refused'"),
        ("plan_change_ended_says_when", "ended_at = now()"),
        ("plan_change_ended_says_when", "status = 'lost'"),
    ):
        refused(constraint, change(row, assignment), row.pk)
    twin = (
        "INSERT INTO lago_sync_planchange (id, organization_id, kind, from_plan_code, plan_code, billing_time, price_change, "
        "status, made_by, made_by_kind, created_at, due_at, attempts, last_error, ended_at) SELECT %s, organization_id, 'cancel', "
        "'', '', '', '{}', %s, made_by, '', now(), now(), 0, '', CASE WHEN %s THEN now() END FROM lago_sync_planchange"
    )
    refused("plan_change_one_at_a_time", twin, uuid4(), "pending", False)
    with connection.cursor() as cursor:
        cursor.execute(twin, (uuid4(), "refused", True))  # one that has ended stands beside it


class TestOutbox:
    def test_a_bundled_event_says_in_what_and_no_other_does(self):
        [event, bundle] = wrote(orgs.team(), 2)
        for constraint, assignment in (
            ("outbox_state_is_known", "state = 'lost'"),
            ("outbox_bundled_says_in_what", "state = 'bundled'"),
            ("outbox_bundled_says_in_what", f"bundle_id = {bundle.pk}"),
            ("outbox_delivered_says_when", "state = 'delivered'"),
            ("outbox_delivered_says_when", "delivered_at = now()"),
        ):
            refused(constraint, change(event, assignment), event.pk)
