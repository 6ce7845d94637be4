"""Billing periods: B26 to B30."""

from datetime import date

import pytest

from lago_sandbox.billing import periods


def period(interval, anchor, day, billing_time="anniversary"):
    found = periods.containing(
        interval=interval,
        billing_time=billing_time,
        anchor=date.fromisoformat(anchor),
        day=date.fromisoformat(day),
    )
    return f"{found.first} {found.last}"


@pytest.mark.parametrize(
    ("interval", "anchor", "day", "expected"),
    [
        ("monthly", "2026-11-21", "2026-11-21", "2026-11-21 2026-12-20"),
        ("monthly", "2026-11-21", "2026-12-20", "2026-11-21 2026-12-20"),
        ("monthly", "2026-11-21", "2026-12-21", "2026-12-21 2027-01-20"),
        ("weekly", "2026-11-21", "2026-11-27", "2026-11-21 2026-11-27"),
        ("weekly", "2026-11-21", "2026-11-28", "2026-11-28 2026-12-04"),
        ("quarterly", "2026-11-30", "2027-02-28", "2027-02-28 2027-05-29"),
        ("semiannual", "2026-08-31", "2027-02-28", "2027-02-28 2027-08-30"),
        ("yearly", "2024-02-29", "2025-02-28", "2025-02-28 2026-02-27"),
    ],
)
def test_b26_an_anniversary_period_counts_from_the_first_day(interval, anchor, day, expected):
    assert period(interval, anchor, day) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("weekly", "2026-11-16 2026-11-22"),
        ("monthly", "2026-11-01 2026-11-30"),
        ("quarterly", "2026-10-01 2026-12-31"),
        ("semiannual", "2026-07-01 2026-12-31"),
        ("yearly", "2026-01-01 2026-12-31"),
    ],
)
def test_b26_a_calendar_period_is_the_calendars(interval, expected):
    assert period(interval, "2026-03-17", "2026-11-21", "calendar") == expected


def test_b28_the_end_of_a_month_is_kept_where_there_is_one():
    days = ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]
    assert [period("monthly", "2027-01-31", day).split()[0] for day in days] == days
    assert period("monthly", "2028-01-31", "2028-02-29") == "2028-02-29 2028-03-30"


def test_b28_periods_follow_each_other_without_a_gap():
    day = date(2024, 1, 31)
    for _ in range(40):
        found = periods.containing(
            interval="monthly", billing_time="anniversary", anchor=date(2024, 1, 31), day=day
        )
        assert found.first == day
        assert 28 <= found.days <= 31
        day = found.next_begins_at.date()


def test_b26_the_first_calendar_period_is_prorated_by_days_with_the_day_of_the_start(shop):
    shop.lago.set_clock("2027-11-16T09:00:00Z")
    shop.plan("starter", 1900)
    shop.customer()
    found = shop.subscribe("starter", billing_time="calendar")
    shop.lago.drain()
    assert [one["total_amount_cents"] for one in shop.invoices()] == [950]  # 15 of 30 days
    bounds = [found[f"current_billing_period_{end}_at"] for end in ("started", "ending")]
    assert bounds == ["2027-11-16T00:00:00Z", "2027-11-30T23:59:59Z"]


@pytest.mark.parametrize(
    ("interval", "renewed"),
    [("weekly", "2027-11-17"), ("monthly", "2027-12-10"), ("yearly", "2028-11-10")],
)
def test_b29_a_renewal_comes_at_the_beginning_of_the_next_period(shop, interval, renewed):
    shop.lago.set_clock("2027-11-10T15:30:00Z")
    shop.plan("any", 5000, interval=interval)
    shop.customer()
    shop.subscribe("any")
    shop.lago.drain()
    shop.lago.set_clock(f"{renewed}T00:09:00Z")
    assert len(shop.invoices()) == 1
    shop.lago.set_clock(f"{renewed}T00:11:00Z")
    newest, first = shop.invoices()
    assert [one["total_amount_cents"] for one in (newest, first)] == [5000, 5000]
    [now] = newest["billing_periods"]
    assert (now["invoicing_reason"], now["subscription_from_datetime"][:10]) == (
        "subscription_periodic",
        renewed,
    )
    assert now["charges_from_datetime"] == "2027-11-10T15:30:00Z"
    assert now["charges_to_datetime"].endswith("T23:59:59Z")
    assert first["billing_periods"][0]["invoicing_reason"] == "subscription_starting"


def test_b30_one_invoice_has_the_coming_fee_and_the_past_usage(shop):
    shop.lago.set_clock("2027-11-10T15:30:00Z")
    shop.plan("priced", 1900, price="0.02")
    shop.customer()
    shop.subscribe("priced")
    for number in range(3):
        shop.event(f"t{number}", properties={"credits": "10.25"})
    shop.lago.set_clock("2027-12-10T01:00:00Z")
    fees = {one["item"]["code"]: one for one in shop.invoices()[0]["fees"]}
    assert set(fees) == {"priced", "credits_used"}  # nothing was called: no fee for api_call
    assert (fees["priced"]["amount_cents"], fees["priced"]["pay_in_advance"]) == (1900, True)
    used = fees["credits_used"]
    assert (used["units"], used["events_count"], used["amount_cents"]) == ("30.75", 3, 62)  # 61.5, half up


@pytest.mark.parametrize(
    ("model", "properties", "cents"),
    [
        ("standard", {"amount": "0.1"}, 250),
        ("package", {"amount": "3", "package_size": 10, "free_units": 5}, 600),
        ("percentage", {"rate": "10", "fixed_amount": "1"}, 350),
        (
            "graduated",
            {
                "graduated_ranges": [
                    {"from_value": 0, "to_value": 10, "flat_amount": "1", "per_unit_amount": "1"},
                    {"from_value": 11, "to_value": None, "flat_amount": "2", "per_unit_amount": "0.5"},
                ]
            },
            2050,
        ),
        (
            "volume",
            {
                "volume_ranges": [
                    {"from_value": 0, "to_value": 10, "flat_amount": "0", "per_unit_amount": "1"},
                    {"from_value": 11, "to_value": None, "flat_amount": "1", "per_unit_amount": "0.5"},
                ]
            },
            1350,
        ),
    ],
)
def test_a_charge_is_priced_by_its_model(shop, model, properties, cents):
    metric = shop.metric("credits_used")
    charge = {"billable_metric_id": metric, "charge_model": model, "properties": properties}
    shop.plan("any", 0, charges=[charge])
    shop.customer()
    shop.subscribe("any")
    shop.event("t1", properties={"credits": "25"})
    shop.lago.drain()
    assert shop.usage()["amount_cents"] == cents


def test_b12_a_dynamic_charge_costs_what_its_events_say_and_no_other_model_reads_it(shop):
    dynamic, standard = shop.metric("cost"), shop.metric("credits_used")
    models = [(dynamic, "dynamic", {}), (standard, "standard", {"amount": "0"})]
    charges = [
        {"billable_metric_id": metric, "charge_model": model, "properties": properties}
        for metric, model, properties in models
    ]
    shop.plan("any", 0, charges=charges)
    shop.customer()
    shop.subscribe("any")
    for number, cents in enumerate(("1.25", "2.5", None)):
        shop.event(f"d{number}", code="cost", precise_total_amount_cents=cents)
        shop.event(f"s{number}", precise_total_amount_cents=cents)
    shop.lago.drain()
    by_metric = {one["billable_metric"]["code"]: one["amount_cents"] for one in shop.usage()["charges_usage"]}
    assert by_metric == {"cost": 4, "credits_used": 0}  # 3.75, half up


@pytest.mark.parametrize(
    ("day", "interval", "cents"),
    [("2027-02-10", "monthly", 2800), ("2028-02-10", "monthly", 2900), ("2027-07-10", "yearly", 36600)],
    ids=["28 days", "29 days", "366 days"],
)
def test_b27_a_day_costs_the_plan_divided_by_the_days_of_its_period(shop, day, interval, cents):
    shop.lago.set_clock(f"{day}T09:00:00Z")
    shop.plan("small", cents, interval=interval)
    shop.plan("large", 2 * cents, interval=interval)
    shop.customer()
    shop.subscribe("small")
    shop.lago.advance(10 * 86400)
    shop.subscribe("large")
    shop.lago.drain()
    [note] = shop.get("credit_notes")["credit_notes"]
    assert (
        note["total_amount_cents"] == cents - 1000
    )  # 10 days at 1.00; the day of the change is the new plan's
