"""Departments on pages: what is shown to whom, and each act once, whole, and only by who may."""

import re
from decimal import Decimal

import pytest
from django.test import Client

from credits.models import Allocation, CreditPool
from orgs.audit.models import AuditEvent
from orgs.models import Department, Membership, User
from tests.billing_portal.dashboards.story import Team, person

LIST = "/orgs/acme/departments/"


@pytest.fixture
def department(managed: Team) -> Department:
    managed.on_plan("enterprise")  # seats for everybody
    return Department.objects.get(name="Engineering")


def text_of(response) -> str:
    page = response.content.decode()
    main = page[page.index("<main") : page.index("</main>")]
    joined = main.replace('<span class="decimals">', "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def key_of(response) -> str:
    return re.findall(r'name="key" value="([^"]+)"', response.content.decode())[0]


def page_of(department: Department) -> str:
    return f"{LIST}{department.public_id}/"


def act(
    client: Client, department: Department, what: str, /, *, key: str = "", follow: bool = True, **fields
):
    data = {"key": key or key_of(client.get(page_of(department)))} | fields
    return client.post(f"{page_of(department)}{what}/", data, follow=follow)


def available(of: Department | None = None) -> Decimal:
    return CreditPool.objects.get(department=of).available


def department_of(user: User) -> str:
    membership = Membership.objects.select_related("department").get(user=user)
    return membership.department.name if membership.department else ""


class TestLooking:
    def test_the_list_says_what_each_has_who_manages_it_and_what_it_used(self, managed, department, owner):
        managed.spent(managed.people["erin"], "40")
        managed.joined_by(person("Sue Sales"), department="Sales")
        page = text_of(owner.get(LIST))
        assert re.search(r"Engineering Max Manager 3 460 0 0 240\.75", page)
        assert re.search(r"Sales No manager 1 – – – 0 –", page)

    def test_one_shows_pool_people_and_use_by_member_and_model(self, managed, department, owner):
        managed.spent(managed.people["erin"], "40", model="tiny")
        answer = owner.get(page_of(department))
        page = text_of(answer)
        for words in (
            "Available 460 ",
            "Used in 30 days 240.75",
            "managed by Max Manager",
            "Mia Member mia.member@example.com",
            "tiny 40 16.6%",
        ):
            assert words in page, words
        assert f"?department={department.public_id}&amp;model=tiny" in answer.content.decode()
        assert "500 credits go back at once" not in page
        assert re.search(r"1,239\.25 credits go back at once: 460 of its pool and 779\.25", page)

    def test_a_manager_sees_only_their_own_and_moves_nothing(self, managed, department, manager):
        managed.joined_by(person("Sue Sales"), department="Sales")
        sales = Department.objects.get(name="Sales")
        assert "Sales" not in text_of(manager.get(LIST))
        page = manager.get(page_of(department))
        assert page.status_code == 200
        assert not re.findall(r'action="[^"]*/departments/', page.content.decode())
        assert "Make a department" not in text_of(manager.get(LIST))
        assert manager.get(page_of(sales)).status_code == 403
        for name in ("fund", "return", "rename", "archive", "add-manager", "move-in"):
            assert manager.post(f"{page_of(department)}{name}/", {"key": "k"}).status_code == 403, name
        assert manager.post(LIST, {"key": "k", "name": "Mine"}).status_code == 403
        assert available(department) == 500

    def test_members_may_not_and_strangers_do_not_know(self, managed, department, outsider, signed_in):
        for user, status in ((managed.people["paul"], 403), (outsider, 404)):
            client = signed_in(user)
            assert client.get(LIST).status_code == status
            assert client.get(page_of(department)).status_code == status
            assert client.post(f"{page_of(department)}fund/", {"credits": "1"}).status_code == status

    def test_a_billing_admin_funds_and_does_not_rename(self, managed, department, signed_in):
        billing = managed.joined_by(person("Bill Billing"), role="billing_admin")
        client = signed_in(billing)
        assert act(client, department, "fund", credits="10").status_code == 200
        assert available(department) == 510
        assert client.post(f"{page_of(department)}rename/", {"key": "k", "name": "X"}).status_code == 403

    def test_a_personal_organization_has_none(self, managed, signed_in):
        paul = managed.people["paul"]
        slug = Membership.objects.filter(user=paul, organization__kind="personal").values_list(
            "organization__slug", flat=True
        )
        for one in slug:
            assert signed_in(paul).get(f"/orgs/{one}/departments/").status_code == 404


class TestMoney:
    def test_funding_and_taking_back_say_what_both_pools_have(self, managed, department, owner):
        answer = act(owner, department, "fund", credits="1,500")
        assert "1,500 credits given to Engineering." in text_of(answer)
        assert "Engineering's pool has 2,000 free now, Acme's pool 6,950." in text_of(answer)
        answer = act(owner, department, "return", credits="2000")
        assert "2,000 credits taken back from Engineering." in text_of(answer)
        assert (available(department), available()) == (0, 8950)

    def test_a_second_click_moves_nothing_more(self, managed, department, owner):
        key = key_of(owner.get(page_of(department)))
        for _ in range(2):
            answer = act(owner, department, "fund", key=key, credits="100")
            assert "100 credits given to Engineering." in text_of(answer)
        assert available(department) == 600
        other = act(owner, department, "fund", key=key, credits="200")
        assert other.status_code == 422
        assert "This form was sent before, with other values." in text_of(other)
        assert key_of(other) != key

    def test_more_than_there_is_is_refused_beside_its_field(self, managed, department, owner):
        answer = act(owner, department, "fund", credits="8450.000001")
        assert answer.status_code == 422
        assert "pool has 8,450 credits free." in text_of(answer)
        assert 'value="8450.000001"' in answer.content.decode()
        answer = act(owner, department, "return", credits="501")
        assert "Engineering's pool has 500 credits free." in text_of(answer)
        for wrong in ("0", "-5", "x", ""):
            assert act(owner, department, "fund", credits=wrong).status_code == 422, wrong
        assert (available(department), available()) == (500, 8450)


class TestPeople:
    def test_make_rename_and_a_name_that_is_taken(self, managed, department, owner):
        answer = owner.post(LIST, {"key": key_of(owner.get(LIST)), "name": "  Design "}, follow=True)
        assert "Design is a department now." in text_of(answer)
        answer = owner.post(LIST, {"key": key_of(owner.get(LIST)), "name": "design"})
        assert answer.status_code == 422
        assert "There is a department of this name already." in text_of(answer)
        assert act(owner, department, "rename", name="Platform").status_code == 200
        assert act(owner, department, "rename", name="DESIGN").status_code == 422
        department.refresh_from_db()
        assert department.name == "Platform"

    def test_members_come_in_together_and_give_back_what_they_had(self, managed, department, owner):
        zoe = managed.joined_by(person("Zoe Zimmer"))
        managed.allocated(zoe, "50").spent(zoe, "20")
        everybody = [managed.people["paul"].public_id, zoe.public_id]
        key = key_of(owner.get(page_of(department)))
        for _ in range(2):  # a second click
            answer = act(owner, department, "move-in", key=key, members=everybody)
            assert "2 members came into Engineering." in text_of(answer)
        assert department_of(zoe) == department_of(managed.people["paul"]) == "Engineering"
        assert Allocation.objects.get(user=zoe).closed_at is not None
        assert available() == 10000 - 1000 - 500 - 50 - 20  # mia's, the department's, paul's use, zoe's use
        assert AuditEvent.objects.filter(action="member.moved").count() == 2

    def test_nobody_comes_in_who_is_no_member(self, managed, department, owner, outsider):
        assert act(owner, department, "move-in", members=[outsider.public_id]).status_code == 422
        assert act(owner, department, "move-in").status_code == 422

    def test_a_member_goes_out_and_what_is_unspent_goes_back(self, managed, department, owner):
        mia = managed.people["mia"]
        key = key_of(owner.get(page_of(department)))
        for _ in range(2):
            answer = act(owner, department, "move-out", key=key, member=mia.public_id)
            assert "Mia Member is in no department now." in text_of(answer)
        assert department_of(mia) == ""
        assert Allocation.objects.get(user=mia).remaining == 0
        assert available() == Decimal("9229.25")

    def test_managers_come_and_go(self, managed, department, owner):
        paul = managed.people["paul"]
        assert act(owner, department, "add-manager", member=paul.public_id).status_code == 200
        assert set(department.managers.values_list("user__name", flat=True)) == {"Max Manager", "Paul Pool"}
        assert act(owner, department, "remove-manager", member=paul.public_id).status_code == 200
        assert act(owner, department, "remove-manager", member=paul.public_id).status_code == 422
        assert list(department.managers.values_list("user__name", flat=True)) == ["Max Manager"]

    def test_archiving_returns_everything_and_a_second_click_says_so_again(self, managed, department, owner):
        key = key_of(owner.get(page_of(department)))
        for _ in range(2):
            answer = act(owner, department, "archive", key=key)
            assert answer.redirect_chain == [(LIST, 302)]
            assert "Engineering is archived." in text_of(answer)
        assert available() == 8950 + Decimal("779.25")
        assert department_of(managed.people["mia"]) == ""
        assert owner.get(page_of(department)).status_code == 404
        assert owner.post(f"{page_of(department)}fund/", {"key": "n", "credits": "1"}).status_code == 404
        assert "There are no departments yet" in text_of(owner.get(LIST))
