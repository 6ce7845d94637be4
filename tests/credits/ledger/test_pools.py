"""The overdraft of an organization's pool: set by staff with a reason, never below what is used of it."""

from decimal import Decimal

import pytest
from django.db import transaction

from credits.ledger import pools
from kit.errors import ValidationError
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db
STAFF = Actor(kind="system_admin", public_id="usr_staff")


def set_overdraft(team, credits, reason="A good customer"):
    with transaction.atomic():
        return pools.set_overdraft(organization=team, credits=Decimal(credits), reason=reason, by=STAFF)


def audited(team):
    return AuditEvent.objects.filter(organization=team.public_id, action="pool.overdraft_set")


class TestSettingTheOverdraft:
    def test_lets_captures_take_the_pool_below_zero(self):
        team = make.team(100)
        set_overdraft(team, "50")
        settled = make.captured(make.held(team, None, 100), 160)
        assert (settled.charge.credits, settled.charge.shortfall) == (150, 10)
        assert make.pool(team).available == -50

    def test_is_audited_with_before_and_after(self):
        team = make.team(100)
        set_overdraft(team, "50")
        set_overdraft(team, "20.5", "Less risk")
        event = audited(team).order_by("sequence").last()
        assert event.before == {"overdraft_limit": "50"}
        assert event.after == {"overdraft_limit": "20.5", "reason": "Less risk"}

    def test_to_what_it_is_writes_nothing(self):
        team = make.team(100)
        set_overdraft(team, "50")
        set_overdraft(team, "50")
        assert audited(team).count() == 1

    def test_below_what_is_used_of_it_is_refused(self):
        team = make.team(100)
        set_overdraft(team, "50")
        make.captured(make.held(team, None, 100), 130)
        with pytest.raises(pools.OverdraftInUse, match="30 credits of the overdraft are used") as refusal:
            set_overdraft(team, "29.999999")
        assert (refusal.value.status, refusal.value.details) == (409, {"used": "30"})
        assert make.pool(team).overdraft_limit == 50
        assert set_overdraft(team, "30").overdraft_limit == 30

    @pytest.mark.parametrize("credits", ["-1", "NaN", "Infinity", "1000000001", "0.0000001"])
    def test_takes_only_an_amount(self, credits):
        team = make.team(100)
        with pytest.raises(ValidationError):
            set_overdraft(team, credits)
        assert make.pool(team).overdraft_limit == 0

    def test_needs_a_reason(self):
        team = make.team(100)
        with pytest.raises(ValidationError):
            set_overdraft(team, "5", " ")

    def test_leaves_the_pools_of_departments_without_one(self):
        team = make.team(100)
        department = make.department(team, 40)
        set_overdraft(team, "50")
        assert make.pool(department).overdraft_limit == 0
