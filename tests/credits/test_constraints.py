"""The database refuses, whoever writes: each constraint and trigger of the ledger, gone around Python with SQL.

`test_every_constraint_is_tried` walks the models, so that a new constraint without a case here turns it red.
"""

from decimal import Decimal

import pytest
from django.apps import apps
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import ForeignKey

from credits.ledger import withdrawals
from credits.models import AllocationReset, Grant, Hold, UsageRecord
from credits.sharing import resets
from orgs.audit.events import SYSTEM
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

HUGE = "1e18"
NAN = "'NaN'"


def columns_of_grant(**changed):
    return (
        {"id": "gen_random_uuid()", "source": "'plan'", "credits": 1, "reference": "'r'", "reason": "''"}
        | {
            "priority": 1,
            "currency": "''",
            "granted_by": "'me'",
            "created_at": "now()",
            "organization_id": ":team",
        }
        | changed
    )


def entry(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "kind": "'transfer'", "amount": 1}
        | {"source_pool_id": ":pool", "target_pool_id": ":pool", "reason": "''", "made_by": "'me'"}
        | {"created_at": "now()"}
        | changed
    )


def hold(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "placed_by": "'me'", "pool_id": ":pool"}
        | {"transaction_id": "'t'", "status": "'active'", "credits": 1, "service": "'llm'", "provider": "''"}
        | {
            "model": "''",
            "byok": "false",
            "day": "now()",
            "counts": "false",
            "price": "'{}'",
            "metadata": "'{}'",
        }
        | {"created_at": "now()", "expires_at": "now()", "captured_content": "''"}
        | changed
    )


def usage(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "kind": "'charge'", "pool_id": ":pool"}
        | {"transaction_id": "'t'", "credits": 1, "cost": 1, "shortfall": 0, "late": "false", "byok": "false"}
        | {
            "unpriced": "false",
            "after_the_fact": "false",
            "service": "'llm'",
            "provider": "''",
            "model": "''",
        }
        | {
            "input_tokens": 0,
            "output_tokens": 0,
            "cached_input_tokens": 0,
            "price": "'{}'",
            "metadata": "'{}'",
        }
        | {"reason": "''", "made_by": "'me'", "day": "now()", "occurred_at": "now()", "created_at": "now()"}
        | changed
    )


def shortfall(**changed):
    return (
        {
            "organization_id": ":team",
            "charge_id": "gen_random_uuid()",
            "amount": 5,
            "settled": 0,
            "forgiven": 0,
        }
        | {"created_at": "now()"}
        | changed
    )


def allocation(**changed):
    return (
        {
            "organization_id": ":team",
            "user_id": ":user",
            "pool_id": ":pool",
            "remaining": 0,
            "held": 0,
            "used": 0,
        }
        | {"spent": 0, "amount": 0, "is_limited": "true", "notes": "''", "opened_at": "now()"}
        | {"reset_period": "'never'"}
        | changed
    )


def price(**changed):
    return (
        {"kind": "'tokens'", "name": "'m'", "size": "''", "quality": "''", "provider": "''", "input_price": 0}
        | {"output_price": 0, "each_price": 0, "default_output_tokens": 1, "valid_from": "'2020-01-01'"}
        | {"changed_at": "now()"}
        | changed
    )


def withdrawal(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "grant_id": ":grant", "reference": "'r'"}
        | {"credits": 3, "withdrawn": 2, "owed": 1, "reason": "''", "made_by": "'me'", "created_at": "now()"}
        | changed
    )


def proposed(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "source": "'goodwill'", "credits": 1}
        | {"reference": "'r'", "reason": "''", "status": "'pending'", "proposed_by": "'me'"}
        | {"proposed_at": "now()", "decided_by": "''"}
        | changed
    )


def reset(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "allocation_id": ":allocation"}
        | {"due_at": "'2026-01-01'", "began_at": "'2025-12-01'", "amount": 10, "used": 4, "held": 1}
        | {"remaining": 5, "returned": 0, "topped_up": 3, "short": 1, "created_at": "now()"}
        | changed
    )


def standard(**changed):
    return {"organization_id": ":team", "role": "'member'", "credits": 1, "reset_period": "'never'"} | changed


def asked(**changed):
    return (
        {"id": "gen_random_uuid()", "organization_id": ":team", "user_id": ":user", "credits": 1}
        | {"reason": "''", "evidence": "'{}'", "status": "'pending'", "answer": "''", "decided_by": "''"}
        | {"created_at": "now()"}
        | changed
    )


def budget(**changed):
    return (
        {"public_id": "gen_random_uuid()", "organization_id": ":team", "scope": "'organization'"}
        | {"model": "''", "subject": "''", "period": "'day'", "credits": 1, "is_hard": "false"}
        | {"since": "now()", "created_at": "now()"}
        | changed
    )


def budget_usage(**changed):
    return (
        {"budget_id": "(SELECT id FROM credits_budget)", "organization_id": ":team", "used": 0, "held": 0}
        | {"starts_on": "'2026-01-01'"}
        | changed
    )


def refusal(**changed):
    return (
        {"organization_id": ":team", "member": ":user", "code": "'c'", "limit": "'pool'", "scope": "''"}
        | {"hour": "'2026-01-01'", "count": 1, "needed": "''", "remaining": "''"}
        | {"first_at": "now()", "last_at": "now()"}
        | changed
    )


def crossing():
    return {
        "id": "gen_random_uuid()",
        "organization_id": ":team",
        "kind": "'pool_low'",
        "subject": "''",
        "step": 0,
        "crossed_at": "now()",
    }


def balance(**changed):
    sets = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return f"UPDATE credits_grantbalance SET {sets} WHERE grant_id = :grant"


def size(organization):
    return {
        "organization_id": organization,
        "model": "'m'",
        "calls": 1,
        "percentile_95": 1,
        "refreshed_at": "now()",
    }


def twice(sql):
    return f"{sql};{sql}"


def insert(table, columns):
    named = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({named}) VALUES ({', '.join(map(str, columns.values()))})"


def pool(**changed):
    sets = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return f"UPDATE credits_creditpool SET {sets} WHERE id = :pool"


def own(**changed):
    sets = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return f"UPDATE credits_allocation SET {sets} WHERE id = :allocation"


DECIDED = {"decided_at": "now()", "decided_by": "'you'"}

MOVES = {"source_pool_id": ":pool", "target_pool_id": "NULL", "target_allocation_id": ":allocation"}

CASES = [
    *(("credit_pool_alert_above_zero", pool(alert_below=bad)) for bad in (0, -1, NAN)),
    *(("allocation_amount_not_negative", own(amount=bad)) for bad in ("-0.000001", NAN)),
    *(
        ("allocation_that_resets_is_open_and_says_when", own(**bad))
        for bad in (
            {"reset_period": "'daily'"},
            {"reset_period": "'daily'", "anchored_on": "now()"},
            {"reset_period": "'daily'", "resets_at": "now()"},
            {"reset_period": "'yearly'", "anchored_on": "now()", "resets_at": "now()"},
            {"anchored_on": "now()"},
            {"resets_at": "now()"},
            {"reset_period": "'daily'", "anchored_on": "now()", "resets_at": "now()", "remaining": 0}
            | {"closed_at": "now()"},
        )
    ),
    ("allocation_reset_once_per_date", twice(insert("credits_allocationreset", reset()))),
    *(
        ("allocation_reset_goes_one_way", insert("credits_allocationreset", reset(**bad)))
        for bad in (
            {"topped_up": 5, "returned": 1, "short": 0},
            {"topped_up": 0, "returned": 1, "short": 5},
            {"used": -1},
            {"held": -1, "topped_up": 5},
            {"remaining": -1, "topped_up": 9},
            {"topped_up": -1, "short": 5},
            {"topped_up": 5, "short": -1},
            {"amount": NAN, "topped_up": NAN},
        )
    ),
    *(
        ("allocation_reset_restores_the_amount", insert("credits_allocationreset", reset(**bad)))
        for bad in ({"short": 0}, {"topped_up": 4}, {"remaining": 6}, {"amount": 11})
    ),
    *(
        ("ledger_entry_goes_where_its_kind_goes", insert("credits_ledgerentry", entry(kind="'reset'", **bad)))
        for bad in (MOVES, {"reset_id": ":reset"}, {"reset_id": ":reset", "target_pool_id": "NULL"})
    ),
    ("ledger_entry_only_a_reset_names_one", insert("credits_ledgerentry", entry(reset_id=":reset"))),
    ("standard_allocation_once_per_role", twice(insert("credits_standardallocation", standard()))),
    *(
        ("standard_allocation_above_zero", insert("credits_standardallocation", standard(credits=bad)))
        for bad in (0, -1, NAN)
    ),
    *(
        ("standard_allocation_words_are_known", insert("credits_standardallocation", standard(**bad)))
        for bad in ({"role": "'king'"}, {"reset_period": "'yearly'"})
    ),
    ("credit_request_one_waits_per_member", twice(insert("credits_creditrequest", asked()))),
    *(
        ("credit_request_above_zero", insert("credits_creditrequest", asked(credits=bad)))
        for bad in (0, -1, NAN)
    ),
    *(
        ("credit_request_is_decided_whole", insert("credits_creditrequest", asked(**bad)))
        for bad in (
            DECIDED,
            {"status": "'approved'"},
            DECIDED | {"status": "'approved'"},
            DECIDED | {"status": "'approved'", "given": 0},
            DECIDED | {"status": "'declined'", "given": 1},
            DECIDED | {"status": "'declined'", "decided_by": "''"},
            DECIDED | {"status": "'bogus'"},
            {"given": 1},
        )
    ),
    ("budget_once_per_subject_and_period", twice(insert("credits_budget", budget()))),
    *(("budget_above_zero", insert("credits_budget", budget(credits=bad))) for bad in (0, -1, NAN)),
    *(
        ("budget_names_its_subject", insert("credits_budget", budget(**bad)))
        for bad in (
            {"subject": "'x'"},
            {"model": "'m'"},
            {"user_id": ":user"},
            {"scope": "'department'", "subject": "'1'"},
            {"scope": "'member'", "user_id": ":user"},
            {"scope": "'model'", "model": "'m'"},
            {"scope": "'model'"},
            {"scope": "'planet'", "subject": "'earth'"},
        )
    ),
    ("budget_period_is_known", insert("credits_budget", budget(period="'year'"))),
    *(
        (name, insert("credits_budget", budget()) + ";" + act)
        for name, act in (
            ("budget_usage_once_per_period", twice(insert("credits_budgetusage", budget_usage()))),
            ("budget_usage_held_not_negative", insert("credits_budgetusage", budget_usage(held=-1))),
        )
    ),
    ("refusal_once_per_limit_and_hour", twice(insert("credits_refusal", refusal()))),
    ("refusal_happened", insert("credits_refusal", refusal(count=0))),
    ("crossing_once_per_step", twice(insert("credits_crossing", crossing()))),
    *(
        ("grant_paid_names_its_currency", insert("credits_grant", columns_of_grant(**bad)))
        for bad in ({"paid_cents": 1}, {"paid_cents": -1, "currency": "'USD'"})
    ),
    ("grant_expires_after_it_was_made", insert("credits_grant", columns_of_grant(expires_at="now()"))),
    *(
        ("grant_balance_uses_no_more_than_was_granted", balance(**bad))
        for bad in (
            {"consumed": -1},
            {"expired": -1},
            {"withdrawn": -1},
            {"consumed": 50, "expired": 30, "withdrawn": "20.000001"},
            {"consumed": NAN},
            {"credits": NAN},
        )
    ),
    ("withdrawal_once_per_reference", twice(insert("credits_withdrawal", withdrawal()))),
    *(
        ("withdrawal_is_taken_or_owed", insert("credits_withdrawal", withdrawal(**bad)))
        for bad in (
            {"owed": 2},
            {"withdrawn": 4, "owed": -1},
            {"withdrawn": -1, "owed": 4},
            {"credits": 0, "withdrawn": 0, "owed": 0},
            {"credits": NAN, "owed": NAN},
        )
    ),
    ("proposed_grant_once_per_reference", twice(insert("credits_proposedgrant", proposed()))),
    *(
        ("proposed_grant_above_zero", insert("credits_proposedgrant", proposed(credits=bad)))
        for bad in (0, -1, NAN)
    ),
    *(
        ("proposed_grant_is_decided_whole", insert("credits_proposedgrant", proposed(**bad)))
        for bad in (
            DECIDED,
            {"status": "'declined'"},
            DECIDED | {"status": "'approved'"},
            DECIDED | {"status": "'declined'", "grant_id": ":grant"},
            DECIDED | {"status": "'bogus'"},
        )
    ),
    (
        "proposed_grant_is_decided_by_another",
        insert("credits_proposedgrant", proposed(**DECIDED | {"status": "'declined'", "decided_by": "'me'"})),
    ),
    *(
        (
            "ledger_entry_that_leaves_names_its_grant",
            insert("credits_ledgerentry", entry(kind=kind, target_pool_id="NULL")),
        )
        for kind in ("'expire'", "'withdraw'")
    ),
    (
        "price_of_organization_once_per_start",
        twice(insert("credits_price", price(organization_id=":team"))),
    ),
    *(
        ("price_ends_after_it_starts", insert("credits_price", price(valid_until=bad)))
        for bad in ("'2020-01-01'", "'2019-12-31'")
    ),
    ("output_size_of_everybody", twice(insert("credits_outputsize", size("NULL")))),
    ("output_size_of_organization", twice(insert("credits_outputsize", size(":team")))),
    (
        "unpriced_use_once_per_organization",
        twice(
            insert(
                "credits_unpriceduse",
                {"organization_id": ":team", "kind": "'tokens'", "name": "'m'", "refused": 0, "charged": 0}
                | {"first_at": "now()", "last_at": "now()"},
            )
        ),
    ),
    *(
        (
            "usage_record_forgiveness_moves_nothing",
            insert("credits_usagerecord", usage(kind="'forgiveness'", corrects=":some_uuid", **bad)),
        )
        for bad in ({}, {"credits": 0, "cost": 0})
    ),
    *(("credit_pool_not_below_its_overdraft", pool(available=bad)) for bad in ("-0.000001", NAN)),
    ("credit_pool_not_below_its_overdraft", pool(overdraft_limit=5, available="-5.000001")),
    *(("credit_pool_held_not_negative", pool(held=bad)) for bad in ("-0.000001", NAN)),
    *(("credit_pool_spent_not_negative", pool(spent=bad)) for bad in ("-0.000001", NAN)),
    ("credit_pool_overdraft_only_of_an_organization", pool(overdraft_limit=-1)),
    ("credit_pool_not_below_its_overdraft", pool(overdraft_limit=NAN)),
    (
        "credit_pool_overdraft_only_of_an_organization",
        "UPDATE credits_creditpool SET overdraft_limit = 1 WHERE department_id IS NOT NULL",
    ),
    (
        "credit_pool_one_per_organization",
        insert(
            "credits_creditpool",
            {"organization_id": ":team", "available": 0, "held": 0, "spent": 0, "overdraft_limit": 0},
        ),
    ),
    *(("allocation_remaining_not_negative", own(remaining=bad)) for bad in ("-0.000001", NAN)),
    *(("allocation_held_not_negative", own(held=bad)) for bad in ("-0.000001", NAN)),
    *(("allocation_used_not_negative", own(used=bad)) for bad in ("-0.000001", NAN)),
    *(("allocation_spent_not_negative", own(spent=bad)) for bad in ("-0.000001", NAN)),
    ("allocation_closed_keeps_nothing", own(closed_at="now()")),
    ("allocation_one_per_member", insert("credits_allocation", allocation())),
    ("grant_once_per_reference", ";".join([insert("credits_grant", columns_of_grant())] * 2)),
    *(("grant_above_zero", insert("credits_grant", columns_of_grant(credits=bad))) for bad in (0, -1, NAN)),
    *(("ledger_entry_above_zero", insert("credits_ledgerentry", entry(amount=bad))) for bad in (0, -1, NAN)),
    *(
        ("ledger_entry_goes_where_its_kind_goes", insert("credits_ledgerentry", entry(**bad)))
        for bad in (
            {"kind": "'bogus'"},
            {"kind": "'grant'"},
            {"kind": "'grant'", "source_pool_id": "NULL"},
            {"kind": "'allocate'"},
            {"kind": "'deallocate'"},
            {"kind": "'withdraw'"},
            {"source_pool_id": "NULL"},
            {"target_pool_id": "NULL"},
            {"source_allocation_id": ":allocation"},
            {"kind": "'expire'", "source_pool_id": "NULL", "target_pool_id": "NULL"},
        )
    ),
    (
        "ledger_entry_one_grant_entry_per_grant",
        insert(
            "credits_ledgerentry",
            entry(kind="'grant'", source_pool_id="NULL", grant_id="(SELECT id FROM credits_grant)"),
        ),
    ),
    *(
        ("hold_has_one_payer_unless_it_is_free", insert("credits_hold", hold(**bad)))
        for bad in (
            {"credits": -1},
            {"credits": NAN},
            {"credits": 0},
            {"pool_id": "NULL"},
            {"allocation_id": ":allocation"},
        )
    ),
    ("hold_ended_says_when", insert("credits_hold", hold(status="'released'"))),
    ("hold_ended_says_when", insert("credits_hold", hold(ended_at="now()"))),
    *(
        ("usage_record_not_negative", insert("credits_usagerecord", usage(**bad)))
        for bad in (
            {"credits": -1, "cost": -1},
            {"credits": NAN, "cost": NAN},
            {"credits": 2, "shortfall": -1},
            {"shortfall": NAN, "cost": NAN},
        )
    ),
    ("usage_record_cost_is_taken_or_owed", insert("credits_usagerecord", usage(cost=2))),
    *(
        ("usage_record_has_one_payer_unless_it_is_free", insert("credits_usagerecord", usage(**bad)))
        for bad in ({"pool_id": "NULL"}, {"allocation_id": ":allocation"})
    ),
    *(
        ("usage_record_correction_names_its_charge", insert("credits_usagerecord", usage(**bad)))
        for bad in ({"kind": "'reversal'"}, {"corrects": "gen_random_uuid()"})
    ),
    (
        "usage_record_one_charge_per_hold",
        ";".join([insert("credits_usagerecord", usage(hold_id=":some_uuid"))] * 2),
    ),
    (
        "usage_record_reversed_once",
        ";".join([insert("credits_usagerecord", usage(kind="'reversal'", corrects=":some_uuid"))] * 2),
    ),
    *(
        ("shortfall_not_settled_beyond_its_amount", insert("credits_shortfall", shortfall(**bad)))
        for bad in (
            {"amount": 0},
            {"amount": -1},
            {"amount": NAN},
            {"settled": -1},
            {"forgiven": -1},
            {"settled": 3, "forgiven": "2.000001"},
            {"settled": NAN},
            {"forgiven": NAN},
        )
    ),
    (
        "credits_shortfall_charge_id",
        ";".join([insert("credits_shortfall", shortfall(charge_id=":some_uuid"))] * 2),
    ),
    (
        "credits_transactionkey_pkey",
        ";".join(
            [
                insert(
                    "credits_transactionkey",
                    {"organization_id": ":team", "transaction_id": "'t'", "kind": "'hold'"}
                    | {"subject": "gen_random_uuid()", "content": "''"},
                )
            ]
            * 2
        ),
    ),
    (
        "daily_usage_one_row_per_grain",
        ";".join(
            [
                insert(
                    "credits_dailyusage",
                    {"organization_id": ":team", "day": "now()", "department_id": 0, "user_id": ":some_uuid"}
                    | {
                        "service": "''",
                        "provider": "''",
                        "model": "''",
                        "requests": 0,
                        "tokens": 0,
                        "credits": 0,
                    },
                )
            ]
            * 2
        ),
    ),
    (
        "quota_usage_once_per_period",
        ";".join(
            [
                insert(
                    "credits_quotausage",
                    {"organization_id": ":team", "period": "'day'", "starts_on": "'2026-01-01'", "used": 0},
                )
            ]
            * 2
        ),
    ),
    (
        "quota_usage_not_negative",
        insert(
            "credits_quotausage",
            {"organization_id": ":team", "period": "'day'", "starts_on": "'2026-01-01'", "used": -1},
        ),
    ),
    ("hold_status_is_known", insert("credits_hold", hold(status="'bogus'", ended_at="now()"))),
    (
        "usage_record_kind_is_known",
        insert("credits_usagerecord", usage(kind="'gift'", corrects=":some_uuid")),
    ),
    ("grant_source_is_known", insert("credits_grant", columns_of_grant(source="'nowhere'"))),
    (
        "transaction_key_kind_is_known",
        insert(
            "credits_transactionkey",
            {"organization_id": ":team", "transaction_id": "'t'", "kind": "'x'"}
            | {"subject": "gen_random_uuid()", "content": "''"},
        ),
    ),
    (
        "quota_usage_period_is_known",
        insert(
            "credits_quotausage",
            {"organization_id": ":team", "period": "'year'", "starts_on": "'2026-01-01'", "used": 1},
        ),
    ),
    ("price_kind_is_known", insert("credits_price", price(kind="'x'"))),
    ("price_once_per_start", ";".join([insert("credits_price", price())] * 2)),
    *(
        ("price_not_negative", insert("credits_price", price(**{column: bad})))
        for column in ("input_price", "output_price", "each_price", "cached_input_price")
        for bad in (-1, NAN)
    ),
]


@pytest.fixture
def books():
    """A team with a pool, a department's pool, an allocation, an ended hold and a charge: what `:names` stand for."""
    team = make.team(100)
    make.department(team, 10)
    user = make.member(team, 20)
    make.captured(make.held(team, user, 5), 5)
    grant = Grant.objects.get(organization=team)
    with transaction.atomic():
        withdrawals.withdraw(
            organization=team,
            grant_source=grant.source,
            grant_reference=grant.reference,
            credits=Decimal(1),
            reference="refund",
            reason="refunded",
            by=SYSTEM,
        )
    other = make.member(team)
    make.allocate(team, other, 5, reset_period="daily")
    make.charged(team, other, 1)
    with make.later("2 days"):
        resets.run_due()
    return {
        ":reset": f"'{AllocationReset.objects.get().pk}'",
        ":team": team.pk,
        ":pool": make.pool(team).pk,
        ":user": f"'{user.pk}'",
        ":allocation": make.allocation(team, user).pk,
        ":grant": f"'{grant.pk}'",
        ":some_uuid": f"'{UsageRecord.objects.get(user=user).pk}'",
    }


def run(sql, books=None):
    for name, value in sorted((books or {}).items(), reverse=True):
        sql = sql.replace(name, str(value))
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in sql.split(";"):
            cursor.execute(statement)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_refuses(name, books):
    for sql in [sql for case, sql in CASES if case == name]:
        with pytest.raises(IntegrityError) as caught:
            run(sql, books)
        assert caught.value.__cause__.diag.constraint_name.startswith(name), sql


def test_refuses_what_no_column_holds(books):
    for sql in (
        pool(available=HUGE),
        own(remaining=HUGE),
        insert("credits_grant", columns_of_grant(credits=HUGE)),
        insert("credits_hold", hold(credits=HUGE)),
        pool(available="'Infinity'"),
    ):
        with pytest.raises(DataError):
            run(sql, books)


def test_every_constraint_is_tried():
    tried = {name for name, _ in CASES}
    declared = {
        constraint.name
        for model in apps.get_app_config("credits").get_models()
        for constraint in model._meta.constraints
    }
    assert declared - tried == set()


def test_every_constraint_of_the_models_is_in_the_database():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class WHERE relkind = 'i'"
        )
        present = {name for (name,) in cursor.fetchall()}
    for model in apps.get_app_config("credits").get_models():
        names = {one.name for one in (*model._meta.constraints, *model._meta.indexes)}
        assert names <= present


class TestBooks:
    """Law 4: entries, grants and usage records are never changed or deleted, by anybody, SQL included."""

    TABLES = (
        "credits_ledgerentry",
        "credits_usagerecord",
        "credits_grant",
        "credits_withdrawal",
        "credits_allocationreset",
    )

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_refuse_update_and_delete(self, books, table, role):
        for act in ("UPDATE {} SET organization_id = organization_id", "DELETE FROM {}"):
            with pytest.raises(IntegrityError, match="append-only"):
                run(f"SET LOCAL session_replication_role = {role}; {act.format(table)}")

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_refuse_truncate_outside_tests(self, books, table, role):
        with pytest.raises(IntegrityError, match="append-only"):
            run(
                f"SET LOCAL portal.allow_truncate = 'off'; SET CONSTRAINTS ALL IMMEDIATE;"
                f"SET LOCAL session_replication_role = {role}; TRUNCATE {table} CASCADE"
            )

    @pytest.mark.parametrize("table", TABLES)
    def test_refuse_an_upsert_that_changes(self, books, table):
        with pytest.raises(IntegrityError, match="append-only"):
            run(
                f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1 ON CONFLICT (id) DO UPDATE SET created_at = now()"
            )

    def test_refuse_a_change_of_any_column_of_a_usage_record(self, books):
        for field in UsageRecord._meta.fields:
            with pytest.raises(IntegrityError, match="append-only"):
                run(f"UPDATE credits_usagerecord SET {field.column} = {field.column}")

    def test_guard_themselves_whatever_the_role(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE NOT tgisinternal AND c.relname LIKE 'credits_%'"
            )
            enabled = {(table, name): state for table, name, state in cursor.fetchall()}
        wanted = {(table, name) for table in self.TABLES for name in ("append_only", "append_only_truncate")}
        assert set(enabled) == wanted | {("credits_hold", "hold_ends_once")}
        assert set(enabled.values()) == {"A"}  # ENABLE ALWAYS


class TestAnEndedHold:
    """Law 6, against SQL."""

    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_ends_no_second_time(self, books, role):
        for sets in (
            "status = 'active', ended_at = NULL",
            "status = 'released'",
            "ended_at = now() + interval '1 day'",
            "captured_content = 'other'",
            "captured_content = ''",
        ):
            with pytest.raises(IntegrityError, match="already"):
                run(f"SET LOCAL session_replication_role = {role}; UPDATE credits_hold SET {sets}")

    def test_keeps_its_figures(self, books):
        for sets in (
            "credits = credits + 1",
            "transaction_id = 'other'",
            "organization_id = organization_id + 1",
            "allocation_id = NULL, pool_id = :pool",
        ):
            with pytest.raises(IntegrityError, match="never change"):
                run(f"UPDATE credits_hold SET {sets}", books)

    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_is_never_deleted(self, books, role):
        with pytest.raises(IntegrityError, match="never deleted"):
            run(f"SET LOCAL session_replication_role = {role}; DELETE FROM credits_hold")


@pytest.mark.parametrize(
    ("model", "payer"),
    [(Hold, "pool"), (Hold, "allocation"), (UsageRecord, "pool"), (UsageRecord, "allocation")],
)
def test_payers_are_foreign_keys_of_the_database(model, payer):
    field = model._meta.get_field(payer)
    assert isinstance(field, ForeignKey)
    assert field.db_constraint
