"""Giving many at once on pages: by checkboxes, by a CSV with its preview, and what new members are given."""

import re
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from credits.models import Allocation, LedgerEntry, StandardAllocation
from tests.billing_portal.dashboards.story import person
from tests.factories import credits as make

MANY = "/orgs/acme/allocations/many/"
IMPORT = "/orgs/acme/allocations/import/"
STANDARD = "/orgs/acme/allocations/standard/"


def text_of(response) -> str:
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def hidden(response, name: str) -> str:
    [value, *_] = re.findall(rf'name="{name}" value="([^"]*)"', response.content.decode())
    return value


def has(user) -> Decimal:
    row = Allocation.objects.filter(user=user, closed_at=None).first()
    return row.allocated if row is not None else Decimal(0)


def choose(client: Client, users, credits="100", **fields):
    data = {"key": hidden(client.get(MANY), "key"), "mode": "set", "credits": credits, **fields}
    return client.post(MANY, {**data, "members": [one.public_id for one in users]}, follow=True)


def preview(client: Client, sheet: str):
    return client.post(IMPORT, {"file": SimpleUploadedFile("a.csv", sheet.encode())})


def confirm(client: Client, page, sheet: str, **options):
    data = {"key": hidden(page, "key"), "digest": hidden(page, "digest"), "sheet": sheet}
    return client.post(f"{IMPORT}confirm/", data, **options)


def test_many_chosen_members_get_one_amount_with_its_terms(acme, owner):
    mia, paul = acme.people["mia"], acme.people["paul"]
    answer = choose(owner, [mia, paul], "1,000", mode="add", reset_period="weekly", expires_on="2036-01-31")
    assert "2 members have new allocations. Free in the pool now: 6,950." in text_of(answer)
    assert (has(mia), has(paul)) == (2000, 1000)
    row = make.allocation(acme.organization, paul)
    assert (row.reset_period, row.expires_at.isoformat()) == ("weekly", "2036-02-01T00:00:00+00:00")


def test_one_who_cannot_is_named_and_nobody_gets_anything(acme, owner):
    mia, paul = acme.people["mia"], acme.people["paul"]
    answer = choose(owner, [mia, paul], "5")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "220.75 credits are used or held; it cannot go below that." in text_of(answer)
    assert f'id="f-{mia.public_id}"' in page
    assert f'id="f-{paul.public_id}"' not in page
    assert page.count(" checked") == 3, "both stay chosen, and the mode"
    short = choose(owner, [paul], "99999")
    assert "has 8,950 credits free; all of these together need 99,999" in text_of(short)
    assert (has(mia), has(paul)) == (1000, 0)


def test_everyone_of_a_department_with_one_box_and_nobody_is_refused(managed, owner):
    make.revoke(managed.organization, managed.people["mia"])  # else her share would move to this pool
    engineering = managed.people["erin"].memberships.get().department
    data = {"key": "k", "mode": "add", "credits": "10", "everyone": "1", "department": engineering.public_id}
    owner.post(MANY, data)
    assert (has(managed.people["erin"]), has(managed.people["max"]), has(managed.people["paul"])) == (
        10,
        10,
        0,
    )
    assert "Choose at least one member." in text_of(choose(owner, []))


def test_a_manager_cannot_choose_somebody_elses_member(managed, manager):
    assert managed.people["paul"].name not in text_of(manager.get(MANY))
    assert choose(manager, [managed.people["paul"]]).status_code == 422
    assert "1 member has new allocations" in text_of(choose(manager, [managed.people["erin"]]))


def test_a_csv_is_shown_line_by_line_applied_as_shown_and_once(acme, owner):
    mia, paul = acme.people["mia"], acme.people["paul"]
    sheet = f"email;credits;mode\n{mia.email};1500;set\n{paul.email};250.5;add\n"
    entries = LedgerEntry.objects.count()
    page = preview(owner, sheet)
    shown = text_of(page)
    for part in (
        "Mia Member , line 2 1,000 1,500",
        "Paul Pool , line 3 – 250.5",
        "free now 8,950",
        "Free after it 8,199.5",
    ):
        assert part in shown
    assert LedgerEntry.objects.count() == entries, "a preview writes nothing"
    for _ in range(2):
        answer = confirm(owner, page, sheet, follow=True)
        assert "2 members have new allocations. Free in the pool now: 8,199.5." in text_of(answer)
    assert (has(mia), has(paul)) == (1500, Decimal("250.5"))


def test_every_fault_of_a_csv_is_named_by_its_line_and_nothing_can_be_applied(acme, owner):
    mia = acme.people["mia"]
    page = preview(owner, f"email,credits\n{mia.email},5\nnobody@else.example,1\n{mia.email},x\n")
    shown = text_of(page)
    assert page.status_code == 422
    assert "3 lines cannot be applied, so none is." in shown
    for part in (
        "Line 2: 220.75 credits are used or held",
        "Line 3: There is no member nobody@else.example here",
        "Line 4: credits must be",
    ):
        assert part in shown
    assert 'name="digest"' not in page.content.decode()
    unreadable = preview(owner, "email,colour\na,red\n")
    assert (unreadable.status_code, "has a column that nobody knows: colour" in text_of(unreadable)) == (
        422,
        True,
    )
    assert owner.post(IMPORT).status_code == 422


def test_a_figure_that_changed_since_the_preview_shows_it_anew(acme, owner):
    mia = acme.people["mia"]
    sheet = f"user_id,credits,mode\n{mia.public_id},100,add\n"
    page = preview(owner, sheet)
    make.allocate(acme.organization, mia, 1200)
    answer = confirm(owner, page, sheet)
    assert answer.status_code == 409
    assert "Figures changed since the preview" in text_of(answer)
    assert "1,200 1,300" in text_of(answer)
    assert has(mia) == 1200
    confirm(owner, answer, sheet)
    assert has(mia) == 1300


def test_the_present_allocations_are_a_csv_that_changes_nothing(acme, owner):
    sheet = owner.get(f"{IMPORT}example/").content.decode()
    assert f"{acme.people['mia'].public_id},Mia Member,1000,set,never," in sheet
    assert f"{acme.people['paul'].public_id},Paul Pool,,,,\r\n" in sheet, "who has none only has a name there"
    page = preview(owner, sheet)
    assert [one.line.user_id for one in page.context["seen"].changes] == [acme.people["mia"].public_id]
    assert "1,000 1,000" in text_of(page)


def test_the_terms_of_one_are_shown_kept_and_taken_off_on_its_page(acme, owner):
    mia = acme.people["mia"]
    path = f"/orgs/acme/allocations/{mia.public_id}/"
    data = {"credits": "1000", "mode": "set", "reset_period": "monthly", "expires_on": "2036-01-31"}
    page = owner.post(path, {"key": "a", **data}, follow=True)
    assert 'value="2036-01-31"' in page.content.decode()
    assert "Restored to 1,000 monthly, next" in text_of(page)
    owner.post(path, {"key": "b", **data, "credits": "900"})
    row = make.allocation(acme.organization, mia)
    assert (row.amount, row.reset_period, row.expires_at.year) == (900, "monthly", 2036)
    owner.post(path, {"key": "c", **data, "reset_period": "never", "expires_on": ""})
    row.refresh_from_db()
    assert (row.reset_period, row.expires_at) == ("never", None)
    past = owner.post(path, {"key": "d", **data, "expires_on": "2020-01-01"})
    assert (past.status_code, "must not have passed" in text_of(past)) == (422, True)


def test_what_new_members_are_given_is_set_and_removed_by_who_shares_out_everything(managed, owner, manager):
    managed.on_plan("enterprise")  # which has seats for more
    data = {"role": "member", "credits": "75", "reset_period": "monthly"}
    answer = owner.post(STANDARD, {"key": hidden(owner.get(STANDARD), "key"), **data}, follow=True)
    assert "New members of this role are given 75 credits from now on." in text_of(answer)
    assert has(managed.joined_by(person("Nora New"))) == 75
    assert owner.post(STANDARD, {"key": "z", **data, "credits": "0"}).status_code == 422
    owner.post(f"{STANDARD}member/remove/", {"key": "r"})
    assert not StandardAllocation.objects.exists()
    assert manager.get(STANDARD).status_code == 403
    assert manager.post(f"{STANDARD}member/remove/", {"key": "r"}).status_code == 403


@pytest.mark.parametrize("path", [MANY, IMPORT, f"{IMPORT}example/", STANDARD])
def test_a_plain_member_may_not_and_a_stranger_does_not_know(acme, signed_in, outsider, path):
    assert signed_in(acme.people["mia"]).get(path).status_code == 403
    assert signed_in(outsider).get(path).status_code == 404
