"""The page of requests: the form with its evidence, one click that decides, and whose requests show to whom."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from credits.models import CreditRequest
from orgs.models import Membership, User
from tests.billing_portal.dashboards.story import Team
from tests.factories import credits as make

SignIn = Callable[[User], Client]
PAGE = "/orgs/acme/requests/"


def text_of(response) -> str:
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def key_of(response) -> str:
    [key, *_] = re.findall(r'name="key" value="([^"]+)"', response.content.decode())
    return key


def ask(client: Client, credits: str = "300", reason: str = "the spring release", **options):
    data = {"key": key_of(client.get(PAGE)), "credits": credits, "reason": reason}
    return client.post(PAGE, data, **options)


@pytest.fixture
def mia(acme: Team, signed_in: SignIn) -> Client:
    return signed_in(acme.people["mia"])


def test_a_member_asks_with_the_evidence_before_them_and_takes_it_back(acme: Team, mia: Client):
    page = mia.get(f"{PAGE}?needed=12.5")
    assert 'value="12.5"' in page.content.decode()
    assert "779.25 of 1,000" in text_of(page)
    answer = ask(mia, "1,500", "  the spring\nrelease", follow=True)
    assert "You asked for 1,500 credits." in text_of(answer)
    row = CreditRequest.objects.get()
    assert (row.credits, row.reason) == (Decimal(1500), "the spring release")
    again = mia.post(PAGE, {"key": "another", "credits": "1", "reason": "r"})
    assert (again.status_code, "is waiting already" in text_of(again)) == (409, True)
    withdrawn = mia.post(f"{PAGE}{row.pk}/withdraw/", {"key": key_of(answer)}, follow=True)
    assert "Your request is withdrawn." in text_of(withdrawn)


def test_burn_rate_and_runway_are_told_once_they_are_known_and_kept_with_the_request(
    acme: Team, mia: Client, owner: Client
):
    user = acme.people["mia"]
    Membership.objects.filter(user=user).update(joined_at=timezone.now() - timedelta(days=60))
    for days in range(1, 15):
        acme.spent(user, "28", days=days)
    shown = text_of(mia.get(PAGE))
    for part in ("Left 387.25 of 1,000", "Burn rate 28.02 a day", "Lasts 13 days"):
        assert part in shown
    ask(mia)
    make.allocate(acme.organization, user, 2000)
    decided = text_of(owner.get(PAGE))
    for part in ("Left 387.25 of 1,000", "Burn rate 28.02 a day", "Lasts 13 days", "expected; "):
        assert part in decided, "as of the request"


@pytest.mark.parametrize(
    ("credits", "reason", "field"),
    [("", "r", "credits"), ("0", "r", "credits"), ("-1", "r", "credits"), ("1e3", "r", "credits"), ("5", " ", "reason")],
)  # fmt: skip
def test_what_is_malformed_stays_on_the_form(acme: Team, mia: Client, credits, reason, field):
    answer = ask(mia, credits, reason)
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert not CreditRequest.objects.exists()


def test_an_owner_approves_with_one_click_or_another_amount_and_a_second_click_does_it_once(
    acme: Team, mia: Client, owner: Client
):
    ask(mia)
    page = owner.get(PAGE)
    shown = text_of(page)
    for part in ("Mia Member asks for 300 credits", "the spring release", "779.25 of 1,000", "not known yet"):
        assert part in shown
    row = CreditRequest.objects.get()
    data = {"key": key_of(page), "act": "approve", "credits": "250", "answer": "this is what is left"}
    for _ in range(2):
        answer = owner.post(f"{PAGE}{row.pk}/decide/", data, follow=True)
        assert "Mia Member was given 250 credits and has 1,029.25 left now." in text_of(answer)
    assert make.allocation(acme.organization, acme.people["mia"]).allocated == 1250
    assert "this is what is left" in text_of(mia.get(PAGE))


def test_declining_gives_nothing_and_too_much_says_what_is_free(acme: Team, mia: Client, owner: Client):
    ask(mia, "9000")
    row = CreditRequest.objects.get()
    path = f"{PAGE}{row.pk}/decide/"
    refused = owner.post(path, {"key": "a", "act": "approve", "credits": "9,000"}, follow=True)
    assert "the pool has 8950 left" in text_of(refused)
    for bad in ({"credits": "x"}, {"credits": "0"}, {"act": "burn"}):
        owner.post(path, {"key": "b", "act": "approve", **bad})
    row.refresh_from_db()
    assert row.status == "pending"
    declined = owner.post(path, {"key": "c", "act": "decline", "answer": "no"}, follow=True)
    assert "The request of Mia Member is declined." in text_of(declined)
    assert make.allocation(acme.organization, acme.people["mia"]).allocated == 1000


def test_managers_see_and_decide_the_own_departments_only(managed: Team, manager: Client, signed_in: SignIn):
    for who in ("erin", "paul"):
        ask(signed_in(managed.people[who]))
    shown = text_of(manager.get(PAGE))
    assert "Erin Engineer asks for 300 credits" in shown
    assert "Paul" not in shown
    pauls = CreditRequest.objects.get(user=managed.people["paul"])
    act = {"key": "k", "act": "approve"}
    assert manager.post(f"{PAGE}{pauls.pk}/decide/", act).status_code == 404
    erins = CreditRequest.objects.get(user=managed.people["erin"])
    assert "was given 300 credits" in text_of(manager.post(f"{PAGE}{erins.pk}/decide/", act, follow=True))


def test_who_may_not_know_of_it_or_not_do_it(acme: Team, outsider: User, mia: Client, signed_in: SignIn):
    ask(mia)
    row = CreditRequest.objects.get()
    paul, stranger = signed_in(acme.people["paul"]), signed_in(outsider)
    assert stranger.get(PAGE).status_code == 404
    assert "spring release" not in text_of(paul.get(PAGE))
    assert paul.post(f"{PAGE}{row.pk}/withdraw/", {"key": "k"}).status_code == 404
    assert paul.post(f"{PAGE}{row.pk}/decide/", {"key": "k", "act": "approve"}).status_code == 403
    assert mia.post(f"{PAGE}{row.pk}/decide/", {"key": "k", "act": "approve"}).status_code == 403
    assert mia.get(f"{PAGE}{row.pk}/decide/").status_code == 405
