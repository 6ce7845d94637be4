"""Whatever dies at any boundary of a migration: one plan, every day billed once, the wallet's credits once."""

from collections import Counter

import pytest

from tests.lago_sync.migration.story import silence

pytestmark = pytest.mark.concurrency

ACTS = "tests.faults.migrating"
MOST = 150
"""More boundaries than a migration has."""
DAY = 86_400


class Old:
    """Users at Lago, each with a plan that began three days ago and 1,000 credits of a wallet."""

    def __init__(self, stage, lago, tag, count):
        self.stage, self.lago, self.tag, self.count = stage, lago, tag, count
        stage.do(f"{ACTS}:install")
        silence(lago)
        for number in range(1, count + 1):
            self._make(f"user_{tag}_{number}")
        lago.drain()
        lago.advance(3 * DAY)

    def migrate(self, number, **death):
        who = f"{self.tag}_{number}"
        return self.stage.live(f"{ACTS}:migrate", user=f"user_{who}", org=f"org_{who}", **death)

    def plans(self, number):
        """Return the plans that live at Lago on either side."""
        who = f"{self.tag}_{number}"
        return self._live(f"user_{who}") | self._live(f"org_{who}")

    def _live(self, customer):
        found = self.lago.api("GET", f"customers/{customer}/subscriptions").json()
        return {one["plan_code"] for one in found.get("subscriptions", [])}

    def ask(self, path, **body):
        answer = self.lago.api("POST", path, json=body)
        assert answer.status_code == 200, answer.text

    def _make(self, user):
        self.ask(
            "customers", customer={"external_id": user, "email": f"{user}@example.com", "currency": "USD"}
        )
        plan = {"external_customer_id": user, "external_id": f"{user}_starter", "plan_code": "starter"}
        self.ask("subscriptions", subscription=plan | {"billing_time": "anniversary"})
        wallet = {"external_customer_id": user, "rate_amount": "0.01", "granted_credits": "1000"}
        self.ask("wallets", wallet=wallet | {"currency": "USD"})


@pytest.mark.parametrize(
    ("victim", "step"),
    [
        ("process", 30),
        pytest.param("process", 1, marks=pytest.mark.slow),
        pytest.param("postgres", 2, marks=pytest.mark.slow),
    ],
)
def test_a_user_is_moved_once_whatever_dies_at_any_boundary(stage, lago, victim, step):
    stage.settings = {"LAGO_API_URL": lago.url, "SITE_URL": "http://127.0.0.1:9"}
    tag = f"{victim}{step}"
    old, deaths = Old(stage, lago, tag, MOST // step), Counter()
    for number in range(1, old.count + 1):
        at = 1 + (number - 1) * step
        life = old.migrate(number, at=at, kill=victim)
        if len(life.boundaries) < at:
            assert not life.error, life.error
            break
        where = f"{at}: {life.boundaries[at - 1]}"
        assert life.died == (victim == "process"), where
        assert old.plans(number) == {"starter"}, where
        again = old.migrate(number)
        assert (again.answer, again.error) == ("done", ""), (where, again.error)
        deaths[where] += 1
    else:
        raise AssertionError("there are more boundaries than users")
    moved = len(deaths)
    lago.drain()
    lago.advance(40 * DAY)
    lago.drain()
    fees = Counter()
    dump = lago.dump()
    owners = {one["id"]: one["external_id"] for one in dump["customer"]}
    invoices = {one["id"]: owners[one["customer_id"]] for one in dump["invoice"] if one["status"] != "voided"}
    for one in dump["fee"]:
        if one["fee_type"] == "subscription" and one["invoice_id"] in invoices:
            fees[invoices[one["invoice_id"]].rpartition("_")[2], str(one["from_at"])[:10]] += 1
    looks = stage.do(f"{ACTS}:look", organizations=[f"org_{tag}_{number}" for number in range(1, moved + 1)])
    for number, found in enumerate(looks, start=1):
        once = {
            "status": "done",
            "plans": ["starter"],
            "granted": ["1000.000000"],
            "differences": [],
            "violations": [],
        }
        assert found == once, (number, found)
        mine = [count for (who, _), count in fees.items() if who == str(number)]
        assert mine == [1, 1], (number, fees)
    assert moved > 2
    print(f"{victim}: {moved} deaths, {moved} moved, {len(fees)} periods billed once")  # noqa: T201 - shown with -s


def test_a_grant_of_the_balance_that_was_read_is_made_twice_by_a_death(stage, lago):
    """The control: the same death, and grants that do not rest on what Lago shows as voided."""
    stage.settings = {"LAGO_API_URL": lago.url, "SITE_URL": "http://127.0.0.1:9"}
    Old(stage, lago, "blind", 2)
    act = f"{ACTS}:migrate_by_balance"
    whole = stage.live(act, user="user_blind_1", org="org_blind_1")
    at = whole.boundaries.index("before POST /api/v1/wallet_transactions") + 1
    assert stage.live(act, user="user_blind_2", org="org_blind_2", at=at).died
    stage.do(act, user="user_blind_2", org="org_blind_2")
    found = stage.do(f"{ACTS}:look", organizations=["org_blind_1", "org_blind_2"])
    assert [len(one["granted"]) for one in found] == [1, 2]
