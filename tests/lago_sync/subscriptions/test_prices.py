"""What a change of plan costs: product.md's examples, and the sandbox's own invoices for as many dates as there is time."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from kit.errors import Conflict, InvalidRequest, ValidationError
from lago_sync.errors import LagoUnavailable
from lago_sync.models import LagoCreditNote, LagoPlan
from lago_sync.subscriptions import plans
from tests.lago_sync.subscriptions import story

pytestmark = pytest.mark.django_db


def test_the_four_examples_of_the_product_and_what_lago_then_invoices(lago):
    """A period of 30 days from 1 April; with n days left the day of the change counts as the new plan's."""
    for left, credit, fee, due in ((15, 950, 2450, 1500), (29, 1837, 4737, 2900), (1, 63, 163, 100), (13, 823, 2123, 1300)):  # fmt: skip
        lago.reset()
        story.installed(lago, "2026-04-01T09:00:00Z")
        team = story.Team(lago)
        team.subscribe()
        team.move_to(f"2026-04-{31 - left:02}T15:00:00Z")
        team.refresh()
        price = team.preview("professional")
        assert (price.kind, price.credit_cents, price.fee_cents, price.due_cents) == (
            "upgrade",
            credit,
            fee,
            due,
        )
        assert (price.old_amount_cents, price.new_amount_cents) == (1900, 4900)
        team.change("professional")
        joint = team.invoices()[-1]
        assert (joint["fees_amount_cents"], joint["credit_notes_amount_cents"], joint["total_amount_cents"]) == (fee, credit, due)  # fmt: skip


UP = [
    ("starter", "professional"), ("starter", "enterprise_yearly"), ("trial", "starter"), ("founders_friend", "starter"),
    ("professional", "enterprise"), ("starter_yearly", "professional_yearly"), ("professional_yearly", "enterprise"),
    ("starter", "professional_yearly"), ("trial", "enterprise_yearly"),
]  # fmt: skip
STARTS = ["2024-01-31T10:00:00Z", "2026-01-31T23:59:00Z", "2026-03-01T00:00:00Z", "2026-08-30T12:00:00Z", "2027-02-28T05:00:00Z", "2028-02-29T07:00:00Z"]  # fmt: skip


def drawn(count):
    """Return changes as (when, what happens, team number, plan, billing time), in the order of one clock."""
    draw, events = random.Random(6), []
    for number in range(count):
        start = datetime.fromisoformat(draw.choice(STARTS))
        before, after = UP[number % len(UP)]
        billing_time = draw.choice(["anniversary", "anniversary", "calendar"])
        last = 6 if before == "trial" else draw.choice([27, 59, 89, 364])
        changed = start + timedelta(days=draw.randint(0, last), hours=3)
        events += [
            (start, "begins", number, before, billing_time),
            (changed, "changes", number, after, billing_time),
        ]
    return sorted(events)


@pytest.mark.parametrize("count", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_is_what_lago_invoices_on_any_date(lago, count):
    """Upgrades on dates drawn from a seed: month ends, leap years, yearly plans, weeks, free plans, both billing times."""
    story.installed(lago, "2024-01-01T00:00:00Z")
    teams, compared = {}, 0
    for when, what, number, plan, billing_time in drawn(count):
        if when > datetime.fromisoformat(lago.now()):
            lago.set_clock(when.isoformat())
        if what == "begins":
            teams[number] = story.Team(lago)
            teams[number].subscribe(plan, billing_time=billing_time)
            continue
        team = teams[number]
        team.refresh()
        price = team.preview(plan)
        assert price.kind == "upgrade"
        team.change(plan)
        joint = team.invoices()[-1]
        given_back = sum(one["total_amount_cents"] for one in team.credit_notes())
        found = (joint["fees_amount_cents"], given_back, joint["total_amount_cents"])
        assert found == (price.fee_cents, price.credit_cents, price.due_cents), (when, plan, team.row)
        assert team.row.ending_at is None
        plans.end(organization=team.org, by=team.by, now=team.now)
        compared += 1
    assert compared == count


def test_a_downgrade_is_invoiced_at_the_periods_end_as_the_preview_says(lago):
    for before, after, billing_time in (("professional", "starter", "anniversary"), ("enterprise", "starter_yearly", "anniversary"), ("starter", "starter_yearly", "calendar")):  # fmt: skip
        lago.reset()
        story.installed(lago, "2026-01-31T10:00:00Z")
        team = story.Team(lago)
        team.subscribe(before, billing_time=billing_time)
        team.move_to("2026-02-10T10:00:00Z")
        team.refresh()
        price = team.preview(after)
        assert (price.kind, price.credit_cents) == ("downgrade", 0)
        team.change(after)
        count = len(team.invoices())
        team.move_to((price.effective_at + timedelta(minutes=30)).isoformat())
        joint = team.invoices()
        assert len(joint) == count + 1
        assert (joint[-1]["fees_amount_cents"], joint[-1]["total_amount_cents"]) == (
            price.fee_cents,
            price.due_cents,
        )
        assert team.refresh().plan_code == after


def test_counts_what_earlier_credit_notes_still_hold(lago):
    story.installed(lago, "2026-04-01T09:00:00Z")
    team = story.Team(lago)
    team.subscribe()
    LagoCreditNote.objects.create(lago_id="11111111-1111-4111-8111-111111111111", organization=team.org, number="n", reason="other", credit_status="available", currency="USD", total_amount_cents=900, balance_amount_cents=700, issuing_date="2026-04-01", synced_at=team.now)  # fmt: skip
    price = team.preview("professional")
    assert (price.balance_cents, price.due_cents) == (700, 4900 - 1900 - 700)


def test_without_a_subscription_is_the_whole_first_period(lago):
    story.installed(lago)
    team = story.Team(lago)
    price = team.preview("starter_annual")
    assert (price.kind, price.plan_code, price.fee_cents, price.due_cents) == ("subscribe", "starter_yearly", 19000, 19000)  # fmt: skip


def test_of_a_period_that_lago_never_invoiced_gives_nothing_back(lago):
    """One that was made at Lago with a start in the past has no invoice of its first period."""
    story.installed(lago, "2026-04-20T09:00:00Z")
    team = story.Team(lago)
    lago.api("POST", "customers", json={"customer": {"external_id": team.org.public_id, "currency": "USD"}})
    fields = {"external_customer_id": team.org.public_id, "external_id": "contract-7", "plan_code": "starter", "billing_time": "anniversary", "subscription_at": "2026-04-05T00:00:00Z"}  # fmt: skip
    lago.api("POST", "subscriptions", json={"subscription": fields})
    assert team.subscribe().external_id == "contract-7"
    price = team.preview("professional")
    assert price.credit_cents == 0
    team.change("professional")
    assert team.invoices()[-1]["total_amount_cents"] == price.due_cents
    assert [one["external_id"] for one in team.at_lago.values()] == ["contract-7"]


def test_refuses_what_is_no_change(lago):
    story.installed(lago)
    team = story.Team(lago)
    team.subscribe("professional")
    for code in ("professional", "professional_monthly"):
        with pytest.raises(InvalidRequest):
            team.preview(code)
    for code in ("platinum", "none", "trial", "trial_yearly", ""):
        with pytest.raises(ValidationError) as refusal:
            team.preview(code)
        assert set(refusal.value.details) == {"plan_code"}
    team.change("starter")
    with pytest.raises(InvalidRequest, match="planned already"):
        team.preview("starter")
    trying = story.Team(lago, "Trying")
    trying.subscribe("trial")
    with pytest.raises(Conflict, match="trial ends by itself"):
        trying.preview("founders_friend")


def test_asks_nobody_and_says_so_where_nothing_is_known(lago, settings):
    story.installed(lago)
    team = story.Team(lago)
    team.subscribe()
    settings.LAGO_API_URL = "http://127.0.0.1:9"
    assert team.preview("professional").kind == "upgrade"
    LagoPlan.objects.all().delete()
    with pytest.raises(LagoUnavailable):
        team.preview("professional")


def test_compares_by_the_year_like_lago(lago):
    """A yearly plan at ten months' price is a downgrade from the same plan by the month."""
    story.installed(lago, "2026-04-01T09:00:00Z")
    team = story.Team(lago)
    team.subscribe()
    price = team.preview("starter_yearly")
    assert price.kind == "downgrade"
    assert price.effective_at == datetime(2026, 5, 1, tzinfo=UTC)
    assert team.preview("professional_yearly").kind == "upgrade"
