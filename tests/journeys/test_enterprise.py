"""The third story of product.md §2: an enterprise of 120 whose managers share out 100,000 credits, a month, and what follows from it.

Its numbers: Engineering is funded with 50,000, Marketing with 20,000, Sales with 15,000, Support with 10,000. Every one of
the 29 in a department has 300 credits a month, of which they use a fixed part each day, Engineering most.
"""

import json
import time
import urllib.request
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any
from urllib.error import HTTPError

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from credits.ledger import charging
from credits.ledger.commands import MakeCharge, Settled, Spender
from credits.pricing.costs import CreditsCost
from orgs.models import Plan, User
from tests.billing_portal.dashboards.story import Team, person
from tests.factories import orgs as make
from tests.factories.lago import Sandbox
from tests.journeys.conftest import Visitor
from tests.journeys.test_buying import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("a whole portal"),
]

FUNDS = {"Engineering": 50_000, "Marketing": 20_000, "Sales": 15_000, "Support": 10_000}
A_DAY = {"Engineering": 8, "Marketing": 4, "Sales": 2, "Support": 1}
PEOPLE, SHARE, DAYS = 29, 300, 30


class Enterprise:
    """The team, its people by department (the first of each manages it), and the keys of those who act."""

    def __init__(self) -> None:
        self.team = Team.made("Initech", owner=person("Olive Owner"))
        self.id = self.team.organization.public_id
        Plan.objects.filter(code="none").update(seats=None)  # its plan comes with the journey
        self.departments = {name: make.department(self.team.organization, name) for name in FUNDS}
        self.people: dict[str, list[User]] = {}
        for name, department in self.departments.items():
            manager = person(f"Manager of {name}")
            seats = [make.member(self.team.organization, who=manager, department=department)]
            seats += [make.member(self.team.organization, department=department) for _ in range(PEOPLE - 1)]
            make.manage(department, seats[0])
            self.people[name] = [one.user for one in seats]
        for role in ("admin", "billing_admin", "member"):
            make.member(self.team.organization, role)
        self.staff_key = make.platform_key().text
        self.owner_key = make.personal_key(self.team.owner).text
        self.manager_keys = {name: make.personal_key(people[0]).text for name, people in self.people.items()}
        self.gateway_key = make.platform_key("usage:write").text

    def use(self) -> None:
        """Charge a month of calls, day by day, as gateways would have."""
        now = timezone.now()
        calls = [
            MakeCharge(
                organization_id=self.team.organization.pk,
                spender=Spender(made_by="gateway", user_id=user.pk),
                transaction_id=f"{user.public_id} {days}",
                cost=CreditsCost(Decimal(A_DAY[name]), model="gpt-5"),
                service="chat",
                occurred_at=now - timedelta(days=days),
            )
            for days in range(DAYS, -1, -1)
            for name, people in self.people.items()
            for user in people
        ]
        for start in range(0, len(calls), 500):
            assert all(isinstance(one, Settled) for one in charging.settle(calls[start : start + 500]))


def in_a_thread(act: Any) -> None:
    """Ask the database from a thread of its own: the browser keeps an event loop running in this one."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join(timeout=120)
    assert failed == []


class Api:
    """The REST API, as one key sees it."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = f"{address}/api/v1", key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.address}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> Any:
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return answer


@pytest.fixture
def initech(portal: Sandbox) -> Enterprise:
    return Enterprise()


def buy(owner: Api, initech: Enterprise, portal: Sandbox) -> None:
    """Order 100,000 credits and pay the invoice at the sandbox."""
    status, answer = owner.call(
        "POST",
        f"/org-billing/credits/{initech.id}/add",
        {"credits": "100000"},
        **{"Idempotency-Key": "enterprise"},
    )
    assert (status, answer["purchase"]["amount_cents"]) == (202, 70_000)
    path = f"/org-billing/credits/{initech.id}/purchases/{answer['purchase']['id']}"
    until = time.monotonic() + 40
    is_paid = False
    while time.monotonic() < until:
        purchase = owner.get(path)
        if purchase["status"] == "completed":
            return
        if purchase["payment_url"] and not is_paid:
            [invoice] = [one for one in portal.dump()["invoice"] if one["invoice_type"] == "credit"]
            portal.pay(invoice["id"])
            is_paid = True
        time.sleep(0.3)
    raise AssertionError(purchase)


def share_out_by_csv(page: Page, initech: Enterprise) -> None:
    """Engineering's manager uploads a sheet, looks at it, and applies it."""
    people = initech.people["Engineering"]
    sheet = "email,credits,reset_period\n" + "".join(f"{one.email},{SHARE},monthly\n" for one in people)
    sign_in(page, people[0])
    page.goto("/orgs/initech/allocations/import/")
    page.get_by_label("CSV file").set_input_files(
        {"name": "shares.csv", "mimeType": "text/csv", "buffer": sheet.encode()}
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look at it, then apply it")
    page.get_by_role("button", name=f"Apply {PEOPLE} lines").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Allocations")


def test_managers_share_out_100000_credits_and_budgets_follow_from_a_month_of_use(
    initech: Enterprise, portal: Sandbox, visitor: Visitor
):
    staff, owner = Api(visitor.address, initech.staff_key), Api(visitor.address, initech.owner_key)
    credits = f"/org-billing/credits/{initech.id}"

    status, answer = staff.call(
        "POST", "/org-billing/subscriptions", {"org_id": initech.id, "plan_code": "enterprise"}
    )
    assert (status, answer["subscription"]["plan_code"]) == (201, "enterprise")
    before = Decimal(owner.get(credits)["available"])
    buy(owner, initech, portal)
    assert Decimal(owner.get(credits)["granted"]) - before >= 100_000

    page = visitor.opens()
    sign_in(page, initech.team.owner)
    page.goto("/orgs/initech/departments/")
    page.get_by_role("link", name="Engineering").click()
    page.get_by_label("Credits", exact=True).first.fill(f"{FUNDS['Engineering']:,}")
    page.get_by_role("button", name="Fund", exact=True).dblclick()
    expect(page.get_by_role("region", name="Funding")).to_contain_text("50,000")
    for name in ("Marketing", "Sales", "Support"):
        path = f"{credits}/departments/{initech.departments[name].public_id}/transfer"
        status, answer = owner.call("POST", path, {"credits": str(FUNDS[name])})
        assert status in (200, 201), answer

    share_out_by_csv(visitor.opens(), initech)
    for name in ("Marketing", "Sales", "Support"):
        shares = [
            {"user_id": one.public_id, "credits": str(SHARE), "reset_period": "monthly"}
            for one in initech.people[name]
        ]
        manager = Api(visitor.address, initech.manager_keys[name])
        status, answer = manager.call("POST", f"{credits}/allocate", {"allocations": shares})
        assert (status, len(answer["allocations"])) == (201, PEOPLE), answer
    stranger = [{"user_id": initech.people["Sales"][3].public_id, "credits": "1"}]
    status, answer = manager.call("POST", f"{credits}/allocate", {"allocations": stranger})
    assert status in (403, 404), "Support's manager gives nobody else's credits"

    in_a_thread(initech.use)

    figures = owner.get(credits)
    used = {name: Decimal(a_day * PEOPLE * (DAYS + 1)) for name, a_day in A_DAY.items()}
    assert Decimal(figures["used"]) == sum(used.values()) == 13_485
    report = owner.get(f"{credits}/usage?group_by=department&days={DAYS + 1}")
    shown = {one["key"]: Decimal(one["credits"]) for one in report["breakdown"]}
    by_id = {initech.departments[name].public_id: credits for name, credits in used.items()}
    assert shown in (by_id, used)
    manager = Api(visitor.address, initech.manager_keys["Sales"])
    own = manager.get(f"{credits}/usage?days={DAYS + 1}")
    assert Decimal(own["total_credits"]) == used["Sales"], "a manager sees their own department"
    page.goto("/orgs/initech/reports/")
    page.get_by_role("link", name=timezone.now().strftime("%B %Y")).first.click()
    expect(page.get_by_text("Closing").first).to_be_visible()
    expect(page.locator("main")).to_contain_text("13,485")

    page.goto("/orgs/initech/reports/proposals/")
    expect(page.get_by_role("region", name="Proposals by department")).to_contain_text("Engineering")
    page.get_by_label("Engineering", exact=True).check()
    page.get_by_label("Sales", exact=True).check()
    page.get_by_role("button", name="Apply what is chosen").click()
    page.goto("/orgs/initech/limits/")
    expect(page.locator("main")).to_contain_text("Engineering")
    budgets = owner.get(f"{credits}/budgets")["data"]
    [sales] = [one for one in budgets if one["department"]["name"] == "Sales"]
    assert not sales["is_hard"]
    assert Decimal(sales["used"]) <= Decimal(sales["credits"])

    path = f"{credits}/budgets/{sales['id']}"
    status, answer = owner.call("PUT", path, {"credits": str(sales["used"]), "is_hard": True})
    assert status == 200, answer
    gateway = Api(visitor.address, initech.gateway_key)
    seller = initech.people["Sales"][5].public_id
    hold = {"org_id": initech.id, "user_id": seller, "transaction_id": "one more", "credits": "1"}
    status, refused = gateway.call("POST", "/usage/holds", hold | {"service": "chat"})
    assert (status, refused["error"]["code"]) == (402, "budget_exceeded")
    limit = refused["error"]["details"]["limit"]
    assert (limit["kind"], limit["remaining"], limit["needed"]) == ("budget", "0", "1")
    assert limit["resets_at"]
    assert "/orgs/initech/requests/" in refused["error"]["details"]["request_url"]
    engineer = hold | {"user_id": initech.people["Engineering"][5].public_id, "service": "chat"}
    status, _ = gateway.call("POST", "/usage/holds", engineer)
    assert status == 201, "the other departments go on"
