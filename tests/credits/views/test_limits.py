"""The page of limits: who may open it, what it shows, and what its forms do, without a script and once only."""

import re
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from credits.limits import budgets
from credits.models import Budget, CreditPool
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(acme):
    return reverse("credits:limits", args=[acme.organization.slug])


def key_of(client: Client, path: str) -> str:
    return re.findall(r'name="key" value="([0-9a-f]+)"', client.get(path).content.decode())[0]


def post(client, path, page, **values):
    return client.post(path, {"key": key_of(client, page), **values}, follow=True)


def test_is_for_those_who_buy(acme, managed, signed_in, owner, manager, outsider, page):
    assert owner.get(page).status_code == 200
    assert manager.get(page).status_code == 403
    assert signed_in(outsider).get(page).status_code == 404
    budget = make.budget(acme.organization, 5)
    for path in (f"{page}{budget.public_id}/archive/", f"{page}alert/"):
        assert manager.post(path, {"key": "a"}).status_code == 403
    assert Budget.objects.get().archived_at is None


def test_a_budget_is_set_shown_changed_and_removed(acme, managed, owner, page):
    team, erin = acme.organization, acme.people["erin"]
    assert "No budget is set" in owner.get(page).content.decode()
    asked = {"subject": f"member {erin.public_id}", "period": "week", "credits": "500.00", "kind": "hard"}
    said = post(owner, page, page, **asked).content.decode()
    assert "Erin Engineer now has a budget of 500 credits a week." in said
    budget = Budget.objects.get()
    assert (budget.user, budget.period, budget.credits, budget.is_hard) == (erin, "week", 500, True)
    make.charged(team, erin, "462.5")
    listed = owner.get(page).content.decode()
    assert "92.5%" in listed
    assert "Near limit" in listed
    one = f"{page}{budget.public_id}/"
    said = post(owner, one, one, credits="450", kind="soft").content.decode()
    assert "The budget is 450 credits a week now, soft." in said
    assert "Over" in said
    post(owner, f"{one}archive/", one)
    assert owner.get(one).status_code == 404
    assert Budget.objects.get().archived_at is not None


def test_a_second_click_sets_no_second_budget(acme, owner, page):
    asked = {"key": key_of(owner, page), "subject": "", "period": "day", "credits": "5", "kind": "soft"}
    for _ in range(2):
        assert owner.post(page, asked).status_code == 302
    assert Budget.objects.count() == 1
    assert AuditEvent.objects.filter(action="budget.created").count() == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"credits": ""}, "This field is required."),
        ({"credits": "0"}, "A budget is above 0."),
        ({"credits": "-1"}, "The amount"),
        ({"subject": "member usr_nobody"}, "Choose from the list."),
        ({"subject": "model never-used"}, "Choose from the list."),
        ({"subject": "department x", "model": "gpt"}, "not both"),
        ({"model": "gpt\x07"}, "printable"),
        ({"period": "year"}, "Select a valid choice"),
        ({}, "There is a soft budget for this month already"),
    ],
)
def test_what_is_refused_is_said_beside_its_field_and_keeps_what_was_typed(acme, owner, page, given, says):
    make.budget(acme.organization, 5, is_hard=False)
    asked = {"subject": "", "period": "month", "credits": "77", "kind": "soft"} | given
    answer = owner.post(page, {"key": key_of(owner, page), **asked})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert f'value="{asked["credits"]}"' in answer.content.decode() or not asked["credits"]
    assert Budget.objects.count() == 1


def test_offers_departments_members_and_models_that_were_used(acme, managed, owner, page):
    make.charged(acme.organization, acme.people["erin"], make.CreditsCost(Decimal(3), model="house-7"))
    page_text = owner.get(page).content.decode()
    for name in ("Engineering", "Erin Engineer", "house-7"):
        assert name in page_text
    post(owner, page, page, subject="model house-7", period="month", credits="10", kind="soft")
    [state] = budgets.states(organization=acme.organization, now=make.statements.clock())
    assert (state.budget.model, state.used) == ("house-7", 3)


def test_a_pool_alarms_below_what_is_set_and_never_when_emptied(acme, managed, owner, page):
    team = acme.organization
    department = CreditPool.objects.get(department__isnull=False).department
    said = post(owner, f"{page}alert/", page, pool="", alert_below="2,500").content.decode()
    assert "pool alarms below 2,500 credits now." in said
    assert make.pool(team).alert_below == 2500
    name = department.public_id
    post(owner, f"{page}alert/", page, pool=name, **{f"{name}-alert_below": "40"})
    assert make.pool(department).alert_below == 40
    post(owner, f"{page}alert/", page, pool="", alert_below="")
    assert make.pool(team).alert_below is None
    events = AuditEvent.objects.filter(action="pool.alert_set").order_by("sequence")
    assert [(one.target, one.after["alert_below"]) for one in events] == [
        (team.public_id, "2500"),
        (name, "40"),
        (team.public_id, None),
    ]
    answer = owner.post(f"{page}alert/", {"key": key_of(owner, page), "pool": "", "alert_below": "0"})
    assert answer.status_code == 422
    assert "must be above 0" in answer.content.decode()
    assert owner.post(f"{page}alert/", {"key": "a", "pool": "dep_none"}).status_code == 404
