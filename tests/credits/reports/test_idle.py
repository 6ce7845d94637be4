"""Idle allocations: who counts as idle, and taking back what is chosen, all or none."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from credits.models import Allocation, LedgerEntry
from credits.reports import idle
from credits.sharing.allocations import Mode
from kit.errors import Conflict
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def now() -> datetime:
    return datetime.now(UTC)


def found(team: Organization, days: int = 14) -> dict[str, int]:
    rows = idle.find(
        organization=team, within=Allocation.objects.filter(organization=team), now=now(), days=days
    )
    return {one.user_id: one.quiet_days for one in rows}


@pytest.fixture
def team() -> Organization:
    with make.later("-40 days"):
        return make.team(1000)


def test_it_is_idle_when_it_was_neither_used_nor_given_lately(team):
    with make.later("-30 days"):
        never, long_ago, lately, fresh, empty, holding = (make.member(team, 50) for _ in range(6))
        make.charged(team, empty, 50)
    with make.later("-20 days"):
        make.charged(team, long_ago, 1)
    with make.later("-3 days"):
        make.charged(team, lately, 1)
        make.allocate(team, fresh, 10, mode=Mode.ADD)
    make.held(team, holding, 1)
    make.captured(make.held(team, never, 1), 0)  # a call that cost nothing uses nothing
    assert found(team) == {never.public_id: 30, long_ago.public_id: 20}
    assert found(team, 25) == {never.public_id: 30}
    assert found(team, 2).keys() >= {lately.public_id, fresh.public_id}


def test_what_is_chosen_is_revoked_all_or_none(team):
    with make.later("-30 days"):
        quiet, other = make.member(team, 50), make.member(team, 70)
    rows = Allocation.objects.filter(organization=team)
    terms = {"organization": team, "within": rows, "days": 14, "now": now(), "by": SYSTEM}
    make.charged(team, other, 1)
    with pytest.raises(Conflict), transaction.atomic():
        idle.revoke(user_ids=[quiet.public_id, other.public_id], **terms)
    assert make.allocation(team, quiet).remaining == 50
    with transaction.atomic():
        returned = idle.revoke(user_ids=[quiet.public_id], **terms)
    assert returned == LedgerEntry.objects.get(kind=LedgerEntry.Kind.DEALLOCATE).amount == 50
    assert make.allocation(team, quiet).closed_at is not None
    assert make.pool(team).available == 930
    with pytest.raises(Conflict), transaction.atomic():
        idle.revoke(user_ids=[quiet.public_id], **terms)
    assert found(team) == {}
