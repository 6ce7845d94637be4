"""The inbox on pages and in the API: one's own notices, what is read, and which come by e-mail."""

import re

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orgs.notices import notices, preferences
from orgs.notices.kinds import Kind
from tests.factories import orgs as make
from tests.factories.api import Http, done, refused

pytestmark = pytest.mark.django_db
INBOX = "/inbox/"


def tell(person, organization=None, *, crossing="1", kind=Kind.POOL_LOW, title="The pool is low", **more):
    with transaction.atomic():
        notices.once(
            kind=kind,
            subject="pool",
            crossing=crossing,
            to=[person],
            organization=organization,
            title=title,
            lines=["5 credits are left."],
            **{"action": "Buy credits", "path": "/orgs/acme/credits/buy/", **more},
        )
    return person.notices.get(crossing=crossing, kind=kind)


@pytest.fixture
def person():
    return make.user("Mia Member")


@pytest.fixture
def browser(person):
    client = Client()
    client.force_login(person)
    return client


def page(browser, path=INBOX):
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


class TestPages:
    def test_an_empty_inbox_says_so_and_no_number_stands_in_the_navigation(self, browser):
        html = page(browser)
        assert "No notices yet" in html
        assert "unread</span>" not in html
        assert 'class="count"' not in html
        assert "You have read everything" in page(browser, INBOX + "?show=unread")

    def test_nothing_is_inline_and_each_act_is_a_form(self, browser, person):
        told = tell(person)
        inline = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style", re.IGNORECASE)
        html = page(browser)
        assert not inline.search(html + page(browser, "/inbox/preferences/"))
        assert f'action="/inbox/{told.pk}/open/"' in html
        assert html.count('action="/inbox/read/"') == 2

    def test_one_sees_ones_own_notices_with_what_to_do(self, browser, person):
        tell(person, title="The <pool> is low")
        tell(make.user(), title="Of somebody else")
        html = page(browser)
        assert "The &lt;pool&gt; is low" in html
        assert "5 credits are left." in html
        assert "Of somebody else" not in html
        assert 'class="count">1<' in page(browser, "/billing/")

    def test_filters_narrow_and_what_is_no_filter_is_passed_over(self, browser, person):
        acme, globex = make.team("Acme"), make.team("Globex")
        tell(person, acme, title="Of Acme")
        tell(person, globex, crossing="2", title="Of Globex")
        tell(person, acme, crossing="3", kind=Kind.RUNWAY, title="Of days")
        assert "Of Globex" not in page(browser, f"{INBOX}?organization={acme.slug}")
        assert "Of Acme" not in page(browser, f"{INBOX}?kind=runway")
        assert "Nothing matches" in page(browser, f"{INBOX}?kind=runway&organization={globex.slug}")
        assert "Of Acme" in page(browser, f"{INBOX}?kind=%00&organization=none&page=x&show=y")

    def test_what_to_do_is_one_click_away_which_also_reads_the_notice(self, browser, person):
        told = tell(person)
        answer = browser.post(reverse("notices:open", args=[told.pk]))
        assert answer.url == "/orgs/acme/credits/buy/"
        assert "You have read everything" in page(browser, INBOX + "?show=unread")
        others = tell(make.user())
        assert browser.post(reverse("notices:open", args=[others.pk])).status_code == 404
        others.refresh_from_db()
        assert others.read_at is None

    def test_one_or_all_are_marked_as_read_and_only_ones_own(self, browser, person):
        first, second, others = tell(person), tell(person, crossing="2"), tell(make.user())
        for given, left in ((str(others.pk), 2), ("nonsense", 2), (str(first.pk), 1), ("all", 0)):
            answer = browser.post("/inbox/read/", {"id": given, "next": "/inbox/?show=unread"})
            assert answer.url == "/inbox/?show=unread"
            assert person.notices.filter(read_at=None).count() == left
        others.refresh_from_db()
        second.refresh_from_db()
        assert (others.read_at, second.read_at is None) == (None, False)

    @pytest.mark.parametrize(
        "target", ["https://evil.example/inbox/", "//evil.example/inbox/", "/billing/", ""]
    )
    def test_marking_leads_back_to_the_inbox_and_nowhere_else(self, browser, target):
        assert browser.post("/inbox/read/", {"id": "all", "next": target}).url == INBOX

    def test_nothing_changes_by_looking(self, browser, person):
        told = tell(person)
        for path in (INBOX, "/inbox/preferences/"):
            page(browser, path)
        assert browser.get("/inbox/read/").status_code == 405
        assert browser.get(reverse("notices:open", args=[told.pk])).status_code == 405
        told.refresh_from_db()
        assert told.read_at is None

    def test_each_kind_is_switched_off_and_on_and_others_stay(self, browser, person):
        kinds = [kind for group in preferences.offered(user=person).values() for kind in group]
        assert Kind.LAGO_OUT_OF_STEP not in kinds
        wanted = [kind.value for kind in kinds if kind != Kind.QUOTA]
        browser.post("/inbox/preferences/", {"mail": wanted})
        assert preferences.off(user=person) == {Kind.QUOTA}
        assert page(browser, "/inbox/preferences/").count(" checked") == len(wanted)
        browser.post("/inbox/preferences/", {"mail": [kind.value for kind in kinds]})
        assert preferences.off(user=person) == set()

    def test_system_admins_are_offered_what_concerns_the_portal(self):
        client = Client()
        client.force_login(make.system_admin())
        assert "Lago is out of step" in page(client, "/inbox/preferences/")

    def test_long_inboxes_have_pages_that_cost_the_same(self, browser, person):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                html = page(browser)
            return len(captured), html

        tell(person, make.team())
        page(browser)
        small, _ = queries()
        for number in range(30):
            tell(person, make.team() if number < 3 else None, crossing=f"n{number}", title=f"Notice {number}")
        many, html = queries()
        assert many <= small + 1  # the number of rows, which one page needs not count
        assert "Notice 29" in html
        assert "Notice 1<" not in html
        assert "Notice 1<" in page(browser, INBOX + "?page=2")


class TestApi:
    def test_lists_pages_and_filters_ones_own(self, person):
        acme = make.team("Acme")
        make.member(acme, who=person)
        for number in range(3):
            tell(person, acme, crossing=str(number), title=f"Notice {number}")
        tell(person, crossing="x", kind=Kind.RUNWAY, title="Elsewhere")
        tell(make.user())
        http = Http(user=person)
        first = done(http.ask("/inbox?limit=3"))
        assert [one["title"] for one in first["data"]] == ["Elsewhere", "Notice 2", "Notice 1"]
        rest = done(http.ask(f"/inbox?limit=3&cursor={first['pagination']['next_cursor']}"))
        assert [one["title"] for one in rest["data"]] == ["Notice 0"]
        assert rest["pagination"]["next_cursor"] is None
        assert len(done(http.ask("/inbox?kind=runway"))["data"]) == 1
        assert len(done(http.ask(f"/inbox?org_id={acme.public_id}"))["data"]) == 3
        refused(http.ask("/inbox?kind=nonsense"), 422)
        refused(http.ask("/inbox?cursor=bm9uZQ"), 422)
        refused(http.ask("/inbox?cursor=Im5vbmUi"), 422)
        refused(http.ask(f"/inbox?org_id={make.team().public_id}"), 404)

    def test_marks_some_or_all_as_read_but_not_neither_or_both(self, person):
        first, others = tell(person), tell(make.user())
        tell(person, crossing="2")
        http = Http(user=person)
        assert done(http.post("/inbox/read", {"ids": [str(first.pk), str(others.pk)]})) == {
            "read": 1,
            "unread": 1,
        }
        assert len(done(http.ask("/inbox?unread=true"))["data"]) == 1
        for body in ({}, {"all": False}, {"ids": [], "all": False}, {"ids": ["x"]}, {"what": 1}):
            refused(http.post("/inbox/read", body), 422)
        refused(http.post("/inbox/read", {"ids": [str(first.pk)], "all": True}), 422)
        assert done(http.post("/inbox/read", {"all": True})) == {"read": 1, "unread": 0}
        others.refresh_from_db()
        assert others.read_at is None

    def test_a_key_of_one_organization_sees_and_marks_that_ones_only(self, person):
        acme, globex = make.team("Acme"), make.team("Globex")
        key = make.membership_key(make.member(acme, who=person)).text
        make.member(globex, who=person)
        tell(person, acme)
        tell(person, globex, crossing="2")
        http = Http(key=key)
        assert [one["organization_id"] for one in done(http.ask("/inbox"))["data"]] == [acme.public_id]
        done(http.post("/inbox/read", {"all": True}))
        assert [one.organization for one in person.notices.filter(read_at=None)] == [globex]

    def test_keys_need_the_scope_and_somebody_whose_inbox_it_is(self, person):
        refused(Http(key=make.personal_key(person, "usage:write").text).ask("/inbox"), 403)
        reader = Http(key=make.personal_key(person, "org:read").text)
        done(reader.ask("/inbox"))
        refused(reader.post("/inbox/read", {"all": True}), 403)
        refused(Http(key=make.platform_key().text).ask("/inbox"), 403)
        refused(Http().ask("/inbox"), 401)

    def test_kinds_are_switched_by_name(self, person):
        http = Http(user=person)
        answer = done(http.send("PUT", "/inbox/preferences", {"off": ["quota", "runway"]}))
        assert {one["kind"] for one in answer["data"] if not one["mail"]} == {"quota", "runway"}
        done(http.send("PUT", "/inbox/preferences", {"off": []}))
        assert all(one["mail"] for one in done(http.ask("/inbox/preferences"))["data"])
        for body in (
            {},
            {"off": ["nonsense"]},
            {"off": ["lago_out_of_step"]},
            {"off": "quota"},
            {"off": [1]},
        ):
            refused(http.send("PUT", "/inbox/preferences", body), 422)
