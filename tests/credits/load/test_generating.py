"""`manage.py generate_load`: rows that no verb made, and books that hold every law all the same."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Count, Sum

from credits.ledger import reconcile
from credits.ledger.commands import Settled
from credits.load import generating
from credits.models import DailyUsage, TransactionKey, UsageRecord
from credits.pricing.costs import CreditsCost
from orgs.models import Membership, Organization, User
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def generated():
    return generating.generate(organizations=3, members=20, usage=1_001)


def team(generated, number):
    return Organization.objects.get(slug=f"load-{generated.tag}-{number}")


def test_the_books_hold_every_law_and_have_what_was_asked_for(generated):
    sizes = Membership.objects.values_list("organization__slug").annotate(Count("pk")).order_by("pk__count")
    assert [size for _, size in sizes] == [20, 20, 5_000]
    assert UsageRecord.objects.count() == TransactionKey.objects.count() == 1_001
    assert list(reconcile.prove_all()) == []


def test_shortly_before_midnight_no_use_is_older_than_what_paid_for_it():
    """A session that would go on past midnight is moved before it."""
    with make.at("2031-05-10T23:59:00"):
        made = generating.generate(organizations=1, members=1, usage=8)
        assert UsageRecord.objects.earliest("occurred_at").occurred_at >= team(made, 0).created_at
        assert list(reconcile.prove_all()) == []


def test_use_is_spread_over_organizations_payers_departments_and_days(generated):
    used = UsageRecord.objects.aggregate(
        days=Count("day", distinct=True),
        payers=Count("allocation", distinct=True),
        pools=Count("pool", distinct=True),
        departments=Count("department_id", distinct=True),
        organizations=Count("organization", distinct=True),
    )
    assert used["days"] > 60
    assert used["payers"] > 20
    assert used["pools"] > 1
    assert used["departments"] > 1
    assert used["organizations"] == 3
    assert DailyUsage.objects.aggregate(Sum("requests"))["requests__sum"] == 1_001


def test_a_generated_charge_is_replayed_as_one_that_the_ledger_made(generated):
    made = UsageRecord.objects.exclude(allocation=None).first()
    cost = CreditsCost(made.credits, made.model, made.input_tokens, made.output_tokens)
    user = User.objects.get(pk=made.user_id)
    again = make.charge(
        made.organization, user, cost, key=made.transaction_id, service=made.service, provider=made.provider
    )
    [outcome] = make.settle(again)
    assert isinstance(outcome, Settled)
    assert outcome.replayed
    assert outcome.charge.id == made.pk


def test_generated_members_spend_on(generated):
    home = team(generated, 1)
    members = User.objects.filter(memberships__organization=home)
    for member in members:
        make.charged(home, member, 1)
    assert DailyUsage.objects.filter(organization=home).aggregate(Sum("requests"))["requests__sum"] >= 20


def test_a_second_run_adds_to_the_first(generated):
    generating.generate(organizations=2, members=1, usage=10)
    assert Organization.objects.filter(slug__startswith="load-").count() == 5


class TestCommand:
    def test_it_says_what_it_made(self, capsys, settings):
        settings.DEBUG = True
        call_command("generate_load", organizations=1, members=1, usage=9)
        assert "1 organizations, 5,000 members, 9 usage records" in capsys.readouterr().out

    def test_without_debug_it_refuses_unless_told_yes(self, settings):
        settings.DEBUG = False
        with pytest.raises(CommandError, match="--yes"):
            call_command("generate_load", organizations=1, members=1, usage=1)
        assert not Organization.objects.exists()
        call_command("generate_load", organizations=1, members=1, usage=1, yes=True)
        assert UsageRecord.objects.count() == 1

    def test_numbers_that_make_no_sense_are_refused(self, settings):
        settings.DEBUG = True
        with pytest.raises(CommandError, match="1 or more"):
            call_command("generate_load", organizations=0, members=1, usage=1)
