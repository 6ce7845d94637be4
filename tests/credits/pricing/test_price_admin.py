"""Prices in Django's admin: everybody's and an organization's own, ended and never rewritten, audited; and the list of what has none."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from credits.models import Price, UnpricedUse
from credits.pricing.costs import TokensCost
from orgs.audit.models import AuditEvent
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db

FIELDS = {
    "kind": "tokens",
    "name": "house",
    "input_price": "0.001",
    "output_price": "0.002",
    "each_price": "0",
    "default_output_tokens": "100",
    "valid_from_0": "2026-01-01",
    "valid_from_1": "00:00",
}


@pytest.fixture
def staff():
    client = Client()
    client.force_login(orgs.system_admin())
    return client


@pytest.fixture
def team():
    return make.team(1000)


def url(page, *args, model="price"):
    return reverse(f"admin:credits_{model}_{page}", args=args)


def last():
    return AuditEvent.objects.latest("at")


class TestAnOwnPrice:
    def test_is_added_and_stands_in_the_organizations_audit_log(self, staff, team):
        answer = staff.post(url("add"), FIELDS | {"organization": team.pk})
        assert answer.status_code == 302, answer.context["errors"]
        assert (last().organization, last().action, last().target) == (team.public_id, "price.added", "house")
        assert last().after["input_price"] == "0.001"
        charge = make.settled(make.charge(team, None, TokensCost("house", 0, 1))).charge
        assert (charge.credits, charge.price["own"]) == (Decimal("0.22"), True)

    def test_is_listed_apart_and_found_by_its_organization(self, staff, team):
        make.price("house")
        make.price("house", organization=team)
        page = staff.get(url("changelist"), {"organization__isempty": "0"})
        assert [row.organization for row in page.context["cl"].result_list] == [team]
        page = staff.get(url("changelist"), {"q": team.public_id})
        assert [row.organization for row in page.context["cl"].result_list] == [team]


class TestAPriceThatHasBegun:
    def test_is_not_rewritten(self, staff):
        price = make.price("house", output_price="1")
        staff.post(
            url("change", price.pk), FIELDS | {"output_price": "2", "valid_until_0": "", "valid_until_1": ""}
        )
        price.refresh_from_db()
        assert price.output_price == 1
        assert (last().action, set(last().after)) == ("price.changed", {"default_output_tokens"})

    def test_is_ended_by_its_date(self, staff):
        price = make.price("house", output_price="1")
        ends = {"valid_until_0": "2036-01-01", "valid_until_1": "00:00", "default_output_tokens": "1024"}
        staff.post(url("change", price.pk), FIELDS | ends)
        price.refresh_from_db()
        assert price.valid_until == datetime(2036, 1, 1, tzinfo=UTC)
        assert (last().action, last().before) == ("price.changed", {"valid_until": None})

    def test_is_ended_now_by_an_action_and_once(self, staff):
        price = make.price("house", output_price="1")
        chosen = {"action": "end", "_selected_action": [price.pk]}
        staff.post(url("changelist"), chosen)
        price.refresh_from_db()
        ended = price.valid_until
        assert ended is not None
        assert (last().organization, last().action) == ("platform", "price.ended")
        staff.post(url("changelist"), chosen)
        price.refresh_from_db()
        assert price.valid_until == ended

    def test_cannot_end_before_it_begins(self, staff):
        price = make.price("house", output_price="1")
        answer = staff.post(
            url("change", price.pk), FIELDS | {"valid_until_0": "2019-01-01", "valid_until_1": "00:00"}
        )
        assert "after it begins" in answer.content.decode()

    def test_is_not_deleted(self, staff):
        price = make.price("house")
        assert staff.post(url("delete", price.pk), {"post": "yes"}).status_code == 403


def test_a_price_to_come_may_still_be_changed(staff):
    price = make.price("house", output_price="1", valid_from=datetime(2036, 1, 1, tzinfo=UTC))
    staff.post(url("change", price.pk), FIELDS | {"valid_from_0": "2036-01-01", "output_price": "3"})
    price.refresh_from_db()
    assert price.output_price == 3
    assert last().after["output_price"] == "3"


@pytest.mark.parametrize("wrong", [{"input_price": "-1"}, {"size": "512x512"}, {"name": ""}])
def test_what_makes_no_sense_is_refused_at_its_field(staff, wrong):
    answer = staff.post(url("add"), FIELDS | wrong)
    assert set(answer.context["adminform"].form.errors) == set(wrong)
    assert not Price.objects.filter(name="house").exists()


class TestWhatHasNoPrice:
    def test_is_listed_with_what_to_do(self, staff, team):
        make.settle(make.charge(team, None, TokensCost("unheard-of", 1, 1)))
        page = staff.get(url("changelist", model="unpriceduse")).content.decode()
        assert "unheard-of" in page
        assert f"{url('add')}?kind=tokens&amp;name=unheard-of" in page
        assert f"organization={team.pk}" in page
        assert "refused" in page

    def test_needs_nothing_once_it_has_a_price(self, staff, team):
        make.settle(make.charge(team, None, TokensCost("unheard-of", 1, 1)))
        make.price("unheard")
        assert (
            "has a price now (unheard)" in staff.get(url("changelist", model="unpriceduse")).content.decode()
        )

    def test_prefills_the_form_of_a_price(self, staff):
        page = staff.get(url("add"), {"kind": "tokens", "name": "unheard-of"})
        assert page.context["adminform"].form["name"].value() == "unheard-of"

    def test_can_only_be_read(self, staff, team):
        make.settle(make.charge(team, None, TokensCost("unheard-of", 1, 1)))
        row = UnpricedUse.objects.get()
        assert staff.get(url("change", row.pk, model="unpriceduse")).status_code == 200
        assert staff.post(url("change", row.pk, model="unpriceduse"), {}).status_code == 403
