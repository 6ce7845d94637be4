"""Giving, changing and revoking on pages: who may for whom, once per form, and what a refusal says."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from credits.models import Allocation, CreditPool
from credits.sharing import allocations
from kit import transactions
from orgs import organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import User
from tests.billing_portal.dashboards.story import Team, person

SignIn = Callable[[User], Client]
FORM = "/orgs/acme/allocations/allocate/"


def text_of(response) -> str:
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def member_page(user: User, act: str = "") -> str:
    return reverse(f"credits:allocation{act}", args=["acme", user.public_id])


def key_of(response) -> str:
    [key, *_] = re.findall(r'name="key" value="([^"]+)"', response.content.decode())
    return key


def give(
    client: Client, user: User | str, credits: str, *, key: str = "", follow: bool = False, **fields: str
):
    data = {"key": key or key_of(client.get(FORM)), "mode": "set", "credits": credits, **fields}
    data["member"] = user.public_id if isinstance(user, User) else user
    return client.post(FORM, data, follow=follow)


def has(user: User) -> Decimal:
    row = Allocation.objects.filter(user=user, closed_at__isnull=True).first()
    return row.allocated if row is not None else Decimal(0)


class TestGiving:
    def test_to_a_member_who_had_none_says_what_the_pool_has_after_it(self, acme: Team, owner: Client):
        answer = give(owner, acme.people["paul"], "1,500.5", follow=True, notes="for  the\nsprint")
        assert answer.redirect_chain == [("/orgs/acme/allocations/", 302)]
        assert "Paul Pool has 1,500.5 credits, 1,500.5 of them left." in text_of(answer)
        assert "pool has 7,449.5 free now." in text_of(answer)
        row = Allocation.objects.get(user=acme.people["paul"])
        assert (row.allocated, row.notes) == (Decimal("1500.5"), "for the sprint")

    def test_adds_to_what_the_member_has_where_asked(self, acme: Team, owner: Client):
        give(owner, acme.people["mia"], "100", mode="add")
        assert has(acme.people["mia"]) == Decimal(1100)

    def test_from_a_departments_own_pool_where_it_is_funded(self, managed: Team, owner: Client):
        answer = give(owner, managed.people["erin"], "120", follow=True)
        assert "Engineering\N{RIGHT SINGLE QUOTATION MARK}s pool has 380 free now." in text_of(answer)

    def test_is_in_the_audit_log_with_who_did_it(self, acme: Team, owner: Client):
        give(owner, acme.people["paul"], "5")
        event = AuditEvent.objects.filter(action="credits.allocated").latest("pk")
        assert event.actor == acme.owner.public_id

    def test_offers_everybody_by_the_pool_that_pays_for_them(self, managed: Team, owner: Client):
        page = owner.get(FORM).content.decode()
        [engineering] = re.findall(r'<optgroup label="From Engineering.*?</optgroup>', page, re.DOTALL)
        assert "Erin Engineer" in engineering
        assert "Paul Pool" not in engineering
        assert "Paul Pool" in page

    def test_shows_what_every_pool_has_free(self, managed: Team, owner: Client):
        page = text_of(owner.get(FORM))
        assert "Acme\N{RIGHT SINGLE QUOTATION MARK}s pool 8,450" in page
        assert "Engineering\N{RIGHT SINGLE QUOTATION MARK}s pool 500" in page


class TestOneFormIsOneAct:
    def test_a_second_click_adds_nothing_and_says_the_same(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        key = key_of(owner.get(FORM))
        first = give(owner, mia, "100", key=key, mode="add", follow=True)
        again = give(owner, mia, "100", key=key, mode="add", follow=True)
        assert has(mia) == Decimal(1100)
        assert "Mia Member has 1,100 credits" in text_of(first)
        assert "Mia Member has 1,100 credits" in text_of(again)

    def test_two_forms_are_two_acts(self, acme: Team, owner: Client):
        for _ in range(2):
            give(owner, acme.people["mia"], "100", mode="add")
        assert has(acme.people["mia"]) == Decimal(1200)

    def test_a_form_sent_again_with_other_values_is_asked_about(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        key = key_of(owner.get(FORM))
        give(owner, mia, "100", key=key, mode="add")
        answer = give(owner, mia, "200", key=key, mode="add")
        assert answer.status_code == 422
        assert "This form was sent before, with other values." in text_of(answer)
        assert has(mia) == Decimal(1100)
        assert key_of(answer) != key
        give(owner, mia, "200", key=key_of(answer), mode="add")
        assert has(mia) == Decimal(1300)

    def test_what_was_refused_may_be_sent_again_with_the_same_key(self, acme: Team, owner: Client):
        key = key_of(owner.get(FORM))
        refused = give(owner, acme.people["paul"], "9000", key=key)
        assert (refused.status_code, key_of(refused)) == (422, key)
        give(owner, acme.people["paul"], "8000", key=key)
        assert has(acme.people["paul"]) == Decimal(8000)

    @pytest.mark.parametrize("key", ["", " ", "k" * 129, "ké", "a\x00b"])
    def test_without_a_key_nothing_happens(self, acme: Team, owner: Client, key: str):
        data = {"member": acme.people["paul"].public_id, "credits": "5", "mode": "set", "key": key}
        answer = owner.post(FORM, data)
        assert answer.status_code == 422
        assert "This form was damaged on its way." in text_of(answer)
        assert has(acme.people["paul"]) == 0
        assert len(key_of(answer)) == 32

    def test_a_busy_ledger_keeps_the_form_and_its_key(self, acme: Team, owner: Client, monkeypatch):
        def busy(**_):
            raise OperationalError("canceling statement due to lock timeout")

        monkeypatch.setattr(allocations, "assign", busy)
        key = key_of(owner.get(FORM))
        answer = give(owner, acme.people["paul"], "5", key=key)
        assert (answer.status_code, key_of(answer)) == (503, key)
        assert "nothing was changed" in text_of(answer)


class TestRefusals:
    def test_of_more_than_the_pool_has_say_exactly_what_is_free(self, acme: Team, owner: Client):
        answer = give(owner, acme.people["paul"], "8950.000001")
        assert answer.status_code == 422
        assert "pool has 8,950 credits free; this needs 8,950.000001." in text_of(answer)
        assert 'aria-invalid="true"' in answer.content.decode()
        assert 'value="8950.000001"' in answer.content.decode()
        assert CreditPool.objects.get().available == Decimal(8950)

    def test_of_less_than_is_used_and_held_say_the_least(self, acme: Team, owner: Client):
        answer = give(owner, acme.people["mia"], "220.74")
        assert answer.status_code == 422
        assert "220.75 credits of it are used or held; it cannot go below that." in text_of(answer)
        assert has(acme.people["mia"]) == Decimal(1000)

    @pytest.mark.parametrize(
        "credits",
        ["", " ", "-1", "1e3", "NaN", "Infinity", "1.0000001", "1000000001", "1,00", "0x10", "1\x000", "9" * 400, "ten", "\u0661\u0660", "1 000", "+5"],
    )  # fmt: skip
    def test_of_what_is_no_amount_stand_beside_it(self, acme: Team, owner: Client, credits: str):
        answer = give(owner, acme.people["paul"], credits)
        assert answer.status_code == 422
        assert answer.context["form"].errors.keys() == {"credits"}
        assert has(acme.people["paul"]) == 0

    def test_of_adding_nothing(self, acme: Team, owner: Client):
        assert "Adding 0 changes nothing." in text_of(give(owner, acme.people["mia"], "0", mode="add"))

    @pytest.mark.parametrize("mode", ["", "take", "\x00"])
    def test_of_an_unknown_mode(self, acme: Team, owner: Client, mode: str):
        assert give(owner, acme.people["paul"], "5", mode=mode).status_code == 422

    @pytest.mark.parametrize("member", ["", "usr_", "usr_nobody", "1", "' OR 1=1", "usr_\x00", "x" * 5000])
    def test_of_nobody(self, acme: Team, owner: Client, member: str):
        answer = give(owner, member, "5")
        assert answer.status_code == 422
        assert answer.context["form"].errors.keys() == {"member"}

    def test_of_another_organizations_member(self, acme: Team, outsider: User, owner: Client):
        assert give(owner, outsider, "5").status_code == 422
        assert owner.get(member_page(outsider)).status_code == 404

    def test_of_a_long_note(self, acme: Team, owner: Client):
        assert give(owner, acme.people["paul"], "5", notes="n" * 501).status_code == 422

    def test_of_a_forged_form(self, acme: Team):
        client = Client(enforce_csrf_checks=True)
        client.force_login(acme.owner)
        assert give(client, acme.people["paul"], "5", key="k").status_code == 403
        assert has(acme.people["paul"]) == 0


class TestWhoMay:
    @pytest.mark.parametrize("who", ["mia", "paul"])
    def test_members_may_neither_look_nor_give(self, acme: Team, signed_in: SignIn, who: str):
        client = signed_in(acme.people[who])
        mia = acme.people["mia"]
        assert client.get(FORM).status_code == 403
        assert client.get(member_page(mia)).status_code == 403
        assert give(client, mia, "5", key="k").status_code == 403
        for act in ("", "-revoke", "-open"):
            assert (
                client.post(member_page(mia, act), {"key": "k", "credits": "5", "mode": "set"}).status_code
                == 403
            )
        assert has(mia) == Decimal(1000)

    def test_outsiders_may_not_know_of_it(self, acme: Team, outsider: User, signed_in: SignIn):
        client = signed_in(outsider)
        for path in (FORM, member_page(acme.people["mia"])):
            assert client.get(path).status_code == 404
            assert client.post(path, {"key": "k"}).status_code == 404

    def test_managers_give_from_their_departments_pool(self, managed: Team, manager: Client):
        answer = give(manager, managed.people["erin"], "120", follow=True)
        assert "pool has 380 free now." in text_of(answer)
        assert has(managed.people["erin"]) == Decimal(120)
        assert "380 credits free; this needs 381." in text_of(give(manager, managed.people["max"], "381"))

    def test_managers_reach_nobody_else(self, managed: Team, manager: Client):
        page = text_of(manager.get(FORM))
        for who in ("paul", "mia"):  # in no department; with credits of the organization's pool
            user = managed.people[who]
            assert user.name not in page
            assert give(manager, user, "1").status_code == 422
            assert manager.get(member_page(user)).status_code == 404
            assert manager.post(member_page(user, "-revoke"), {"key": "k"}).status_code == 404
        assert has(managed.people["mia"]) == Decimal(1000)


class TestOneMember:
    def test_shows_the_figures_and_the_pool_they_come_from(self, acme: Team, owner: Client):
        page = text_of(owner.get(member_page(acme.people["mia"])))
        for figure in ("Allocated 1,000", "Used 200.75", "Held 20", "Left 779.25"):
            assert figure in page
        assert "Free there 8,950" in page

    def test_without_an_allocation_can_be_given_one(self, acme: Team, owner: Client):
        path = member_page(acme.people["paul"])
        page = owner.get(path)
        assert "Revoke" not in text_of(page)
        answer = owner.post(path, {"key": key_of(page), "credits": "50", "mode": "set"}, follow=True)
        assert answer.redirect_chain == [(path, 302)]
        assert has(acme.people["paul"]) == Decimal(50)

    def test_can_be_lowered_and_the_rest_returns(self, acme: Team, owner: Client):
        path = member_page(acme.people["mia"])
        owner.post(path, {"key": key_of(owner.get(path)), "credits": "300", "mode": "set"})
        assert CreditPool.objects.get().available == Decimal(9650)

    def test_refusals_stay_on_the_page(self, acme: Team, owner: Client):
        path = member_page(acme.people["mia"])
        answer = owner.post(path, {"key": key_of(owner.get(path)), "credits": "99999", "mode": "set"})
        assert answer.status_code == 422
        assert "pool has 8,950 credits free; this needs 98,999." in text_of(answer)

    def test_can_be_revoked_after_being_told_what_happens(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        page = owner.get(member_page(mia))
        assert "779.25 credits go back to Acme\N{RIGHT SINGLE QUOTATION MARK}s pool, and what of the 20 held" in text_of(page)  # fmt: skip
        answer = owner.post(member_page(mia, "-revoke"), {"key": key_of(page)}, follow=True)
        assert "The allocation of Mia Member is closed." in text_of(answer)
        assert "pool has 9,729.25 free now." in text_of(answer)
        assert "closed: new requests are refused" in text_of(answer)
        assert has(mia) == 0

    def test_a_second_click_on_revoke_does_it_once(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        key = key_of(owner.get(member_page(mia)))
        for _ in range(2):
            answer = owner.post(member_page(mia, "-revoke"), {"key": key}, follow=True)
            assert "pool has 9,729.25 free now." in text_of(answer)
        assert AuditEvent.objects.filter(action="allocation.revoked").count() == 1

    def test_can_be_let_spend_from_the_pool(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        key = key_of(owner.get(member_page(mia)))
        answer = owner.post(member_page(mia, "-open"), {"key": key}, follow=True)
        assert "Mia Member spends from the pool now." in text_of(answer)
        assert "closed: the pool pays for them" in text_of(answer)
        assert Allocation.objects.get(user=mia).is_limited is False

    def test_says_where_the_pool_pays_for_nobody(self, acme: Team, owner: Client):
        with transactions.durable():
            organizations.update(
                organization=acme.organization, changes={"shared_spending": "never"}, by=SYSTEM
            )
        assert "lets nobody spend from its pool" in text_of(owner.get(member_page(acme.people["mia"])))

    @pytest.mark.parametrize("act", ["-revoke", "-open"])
    def test_acts_are_no_links(self, acme: Team, owner: Client, act: str):
        assert owner.get(member_page(acme.people["mia"], act)).status_code == 405

    def test_acts_need_their_forms_key(self, acme: Team, owner: Client):
        answer = owner.post(member_page(acme.people["mia"], "-revoke"), follow=True)
        assert "Idempotency-Key" not in text_of(answer)
        assert has(acme.people["mia"]) == Decimal(1000)

    @pytest.mark.parametrize("user_id", ["usr_nobody", "x" * 300, "-1", "usr_%00"])
    def test_of_nobody_is_not_found(self, acme: Team, owner: Client, user_id: str):
        assert owner.get(f"/orgs/acme/allocations/{user_id}/").status_code == 404

    def test_of_a_former_member_has_no_form(self, acme: Team, owner: Client):
        stranger = person("Stranger")
        assert owner.get(member_page(stranger)).status_code == 404


def test_no_page_has_anything_inline(acme: Team, owner: Client):
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style", re.IGNORECASE)
    for path in ("/orgs/acme/allocations/", FORM, member_page(acme.people["mia"])):
        assert not inline.search(owner.get(path).content.decode())
