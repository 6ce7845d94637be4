"""An overdraft is for what has happened: captures and calls after the fact. A hold or a charge never uses it."""

import pytest

from credits.ledger.commands import Settled
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("command", [make.hold, make.charge], ids=["holds", "charges"])
def test_a_hold_or_charge_never_uses_the_overdraft(command):
    team = make.team(10)
    make.overdraft(team, 20)
    [outcome] = make.settle(command(team, None, "10.000001"))
    assert outcome.code == "insufficient_credits"
    assert outcome.details["limit"]["remaining"] == "10"
    assert (make.pool(team).available, make.pool(team).held) == (10, 0)


def test_what_has_happened_uses_it_to_its_end():
    team = make.team(10)
    make.overdraft(team, 20)
    [outcome] = make.settle(make.charge(team, None, 35, after_the_fact=True))
    assert isinstance(outcome, Settled)
    assert (outcome.charge.credits, outcome.charge.shortfall) == (30, 5)
    assert make.pool(team).available == -20
