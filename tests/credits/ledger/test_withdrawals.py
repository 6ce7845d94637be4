"""Taking back a grant whose payment was taken back: what is there leaves the books, the rest is owed (product.md §8)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from credits.ledger import withdrawals
from credits.ledger.withdrawals import WithdrawalConflict
from credits.models import GrantBalance, LedgerEntry, Withdrawal
from kit.errors import NotFound, ValidationError
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    """A team that bought 100."""
    made = make.team()
    make.grant(made, 100, source="purchase", reference="P1")
    return made


def withdraw(team, credits=None, *, reference="refund 1", of="P1"):
    with transaction.atomic():
        return withdrawals.withdraw(
            organization=team,
            grant_source="purchase",
            grant_reference=of,
            credits=None if credits is None else Decimal(str(credits)),
            reference=reference,
            reason="refunded",
            by=SYSTEM,
        )


def figures(made):
    return made.credits, made.withdrawn, made.owed


def test_takes_back_all_that_nobody_used(team):
    assert figures(withdraw(team)) == (100, 100, 0)
    assert make.pool(team).available == 0
    entry = LedgerEntry.objects.get(kind="withdraw")
    assert (entry.amount, entry.source_pool_id, entry.grant.reference) == (100, make.pool(team).pk, "P1")


def test_owes_what_was_used_also_a_moment_ago(team):
    make.charged(team, None, 30)
    assert figures(withdraw(team)) == (100, 70, 30)
    balance = GrantBalance.objects.get()
    assert (balance.consumed, balance.withdrawn, balance.left) == (30, 70, 0)
    event = AuditEvent.objects.get(action="credits.withdrawn")
    assert (event.after["withdrawn"], event.after["owed"]) == ("70", "30")


def test_takes_a_part_and_later_the_rest(team):
    assert figures(withdraw(team, 40)) == (40, 40, 0)
    assert figures(withdraw(team, reference="refund 2")) == (60, 60, 0)
    assert make.pool(team).available == 0


def test_takes_from_the_pool_then_from_the_largest(team):
    small, large = make.member(team, 20), make.member(team, 50)
    withdraw(team, 60)
    own = make.allocation(team, large)
    assert (make.pool(team).available, own.remaining, make.allocation(team, small).remaining) == (0, 20, 20)


def test_leaves_what_is_held_to_the_hold_and_owes_it(team):
    hold = make.held(team, None, 25)
    assert figures(withdraw(team)) == (100, 75, 25)
    make.captured(hold, 25)
    make.burn(team)
    assert GrantBalance.objects.get().consumed == 25


def test_touches_no_other_grant(team):
    other = make.grant(team, 100, source="promotion")
    make.charged(team, None, 30)
    assert figures(withdraw(team)) == (100, 100, 0)
    assert (make.left(other), make.pool(team).available) == (70, 70)


def test_of_a_grant_that_was_used_whole_moves_nothing_and_owes_all(team):
    make.charged(team, None, 100)
    assert figures(withdraw(team)) == (100, 0, 100)
    assert not LedgerEntry.objects.filter(kind="withdraw").exists()


@pytest.mark.parametrize("credits", [None, 100])
def test_again_answers_with_the_first_and_moves_nothing(team, credits):
    first = withdraw(team)
    make.grant(team, 50)
    assert withdraw(team, credits).pk == first.pk
    assert (make.pool(team).available, Withdrawal.objects.count()) == (50, 1)


def test_again_after_another_one_answers_with_the_first(team):
    first = withdraw(team)
    with pytest.raises(WithdrawalConflict):
        withdraw(team, reference="refund 2")
    assert withdraw(team).pk == first.pk


@pytest.mark.parametrize("changed", [{"credits": 39}, {"credits": None}, {"credits": 40, "of": "P2"}])
def test_again_with_other_terms_is_refused(team, changed):
    make.grant(team, 50, source="purchase", reference="P2")
    withdraw(team, 40)
    with pytest.raises(WithdrawalConflict):
        withdraw(team, **changed)
    assert make.pool(team).available == 110


@pytest.mark.parametrize("credits", ["0", "-1", "100.000001", "NaN"])
def test_of_nothing_or_of_more_than_was_granted_is_refused(team, credits):
    with pytest.raises(ValidationError):
        withdraw(team, credits)
    assert make.pool(team).available == 100


def test_of_no_grant_or_of_another_organizations_is_not_found(team):
    for stranger, of in ((team, "P9"), (make.team(), "P1")):
        with pytest.raises(NotFound):
            withdraw(stranger, of=of)


def test_after_a_part_expired_owes_that_part_too():
    team = make.team()
    make.grant(team, 100, source="purchase", reference="P1", lives=timedelta(days=1))
    with make.later("1 day"):
        make.expire_grants(team)
        assert figures(withdraw(team)) == (100, 0, 100)


def test_is_never_changed_or_deleted(team):
    made = withdraw(team)
    for change in (lambda rows: rows.update(reason="other"), lambda rows: rows.delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change(Withdrawal.objects.filter(pk=made.pk))
