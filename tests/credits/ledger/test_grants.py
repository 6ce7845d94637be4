"""Credits enter once per source and reference, and older spending stays with older grants (product.md §5 law 7, §6)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from credits.ledger.grants import GrantConflict, Paid
from credits.models import Grant, GrantBalance, LedgerEntry, Shortfall
from kit.errors import ValidationError
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


class TestGrant:
    def test_enters_the_pool_by_one_entry_and_is_in_the_audit_log(self):
        team = make.team()
        made = make.grant(team, 30, source="goodwill", reference="sorry")
        assert make.pool(team).available == 30
        assert LedgerEntry.objects.get(grant=made).amount == 30
        event = AuditEvent.objects.get(action="credits.granted")
        assert (event.target, event.after["credits"], event.after["source"]) == (
            str(made.pk),
            "30",
            "goodwill",
        )

    def test_keeps_what_was_paid_and_until_when_it_lives(self):
        made = make.grant(
            make.team(), 30, source="purchase", lives=timedelta(days=9), paid=Paid(cents=4500, currency="EUR")
        )
        made.refresh_from_db()
        assert (made.paid_cents, made.currency, made.expires_at) == (4500, "EUR", made.balance.expires_at)

    @pytest.mark.parametrize(
        ("first", "second"),
        [("promotion", "goodwill"), ("goodwill", "plan"), ("plan", "adjustment"), ("adjustment", "migration"), ("migration", "purchase")],
    )  # fmt: skip
    def test_of_one_source_is_used_before_those_of_another(self, first, second):
        team = make.team()
        later, sooner = make.grant(team, 10, source=second), make.grant(team, 10, source=first)
        make.charged(team, None, 10)
        make.burn(team)
        assert (make.left(sooner), make.left(later)) == (0, 10)

    def test_again_with_the_same_terms_answers_with_the_first_and_moves_nothing(self):
        team = make.team()
        terms = {"source": "purchase", "reference": "INV-1", "paid": Paid(cents=100, currency="USD")}
        first = make.grant(team, 10, **terms)
        assert make.grant(team, "10.000000", **terms).pk == first.pk
        assert (make.pool(team).available, Grant.objects.count(), AuditEvent.objects.filter(action="credits.granted").count()) == (10, 1, 1)  # fmt: skip

    @pytest.mark.parametrize(
        "other",
        [{"credits": 11}, {"priority": 3}, {"paid": Paid(cents=101, currency="USD")}, {"paid": None}, {"lives": timedelta(days=1)}],
    )  # fmt: skip
    def test_again_with_other_terms_is_refused(self, other):
        team = make.team()
        terms = {
            "credits": 10,
            "source": "purchase",
            "reference": "INV-1",
            "paid": Paid(cents=100, currency="USD"),
        }
        make.grant(team, **terms)
        with pytest.raises(GrantConflict):
            make.grant(team, **(terms | other))
        assert make.pool(team).available == 10

    def test_of_the_same_reference_from_another_source_is_another_grant(self):
        team = make.team()
        make.grant(team, 10, source="goodwill", reference="one")
        make.grant(team, 10, source="promotion", reference="one")
        assert make.pool(team).available == 20

    @pytest.mark.parametrize(
        "wrong", [{"source": "luck"}, {"credits": "0"}, {"credits": "-1"}, {"credits": "NaN"}, {"credits": "0.0000001"}, {"credits": "1e10"}]
    )  # fmt: skip
    def test_of_nothing_or_of_an_unknown_source_is_refused(self, wrong):
        team = make.team()
        with pytest.raises(ValidationError):
            make.grant(team, **({"credits": "1"} | wrong))
        assert not Grant.objects.exists()

    def test_settles_what_is_owed_and_is_used_by_that(self):
        team = make.team(10)
        make.captured(make.held(team, None, 10), 30)
        made = make.grant(team, 50, source="purchase")
        assert (make.pool(team).available, make.left(made), Shortfall.objects.get().settled) == (30, 30, 20)

    def test_fills_an_overdraft_and_is_used_by_that(self):
        team = make.team(10)
        make.overdraft(team, 40)
        make.captured(make.held(team, None, 10), 35)
        made = make.grant(team, 100, source="promotion")
        assert (make.pool(team).available, make.left(made)) == (75, 75)

    def test_is_not_used_by_what_was_spent_before_it_came(self):
        team = make.team()
        old = make.grant(team, 10, source="purchase")
        make.charged(team, None, "2.5")
        new = make.grant(team, 10, source="promotion")
        make.burn(team)
        assert (make.left(old), make.left(new)) == (Decimal("7.5"), 10)
        assert GrantBalance.objects.filter(consumed__gt=0).count() == 1
