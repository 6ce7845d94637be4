"""Whatever dies at any boundary of a purchase: one order, one top-up at Lago, one payment, one grant."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.concurrency

ACTS = "tests.faults.buying"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(minutes=6)
"""When the lease of whoever died is over."""
MOST = 40
"""More boundaries than any scene has."""


class Buyer:
    """An organization that orders once, and what it takes to bring the order to its end."""

    def __init__(self, stage, lago, organization):
        self.stage, self.lago, self.organization = stage, lago, organization
        self.purchase = ""

    def place(self, **death):
        return self.stage.live(f"{ACTS}:place", organization=self.organization, now=NOW.isoformat(), **death)

    def ordered(self):
        """Order, or order again with the same key as after an answer that never came."""
        life = self.place()
        assert not life.error, life.error
        self.purchase = life.answer

    def advance(self, now=NOW, **death):
        return self.stage.live(f"{ACTS}:advance", purchase=self.purchase, now=now.isoformat(), **death)

    def advanced(self, now=NOW):
        life = self.advance(now)
        assert not life.error, life.error
        self.lago.drain()
        return life.answer

    def top_ups(self):
        """Return what Lago has with the purchase's key, found without the portal's own look-up."""
        customer = self.lago.api("GET", f"customers/{self.organization}/wallets").json()
        return [
            one
            for wallet in customer.get("wallets", [])
            for one in self.lago.api("GET", f"wallets/{wallet['lago_id']}/wallet_transactions").json()[
                "wallet_transactions"
            ]
            if {"key": "purchase", "value": self.purchase} in one["metadata"]
        ]

    def pay(self):
        [top_up] = self.top_ups()
        self.lago.pay(top_up["lago_invoice_id"])
        self.lago.drain()


def before_an_order(buyer):
    return buyer.place


def before_the_top_up(buyer):
    buyer.ordered()
    return buyer.advance


def before_the_invoice(buyer):
    buyer.ordered()
    buyer.advanced()
    return buyer.advance


def after_the_payment(buyer):
    buyer.ordered()
    buyer.advanced()
    buyer.pay()
    return buyer.advance


def carry_on(buyer):
    """Do what happens anyway: the client sends its order again, the schedule advances, the buyer pays once."""
    buyer.ordered()
    if buyer.advanced(LATER) != "completed":
        if any(one["status"] == "pending" for one in buyer.top_ups()):
            buyer.pay()
        buyer.advanced(LATER)


EVERYWHERE = [before_an_order, before_the_top_up, before_the_invoice, after_the_payment]
LONGEST = (before_the_top_up, before_the_invoice)  # most boundaries: `make test-all` dies at them


@pytest.mark.parametrize(
    ("scene", "victim"),
    [
        *(
            pytest.param(scene, "process", marks=[pytest.mark.slow] if scene in LONGEST else [])
            for scene in EVERYWHERE
        ),
        *(pytest.param(scene, "servers", marks=pytest.mark.slow) for scene in EVERYWHERE),
        (before_an_order, "postgres"),
        (before_an_order, "valkey"),  # nothing later in a purchase speaks to the broker
    ],
)
def test_a_purchase_is_granted_once_whatever_dies_at_any_boundary(stage, lago, scene, victim, figures):
    stage.settings = {
        "LAGO_API_URL": lago.url,
        "LAGO_PAYMENT_PROVIDER": "stripe",
        "LAGO_PAYMENT_PROVIDER_CODE": "stripe",
    }
    buyers = {}
    for at, organization in enumerate(stage.do(f"{ACTS}:begin", count=MOST), start=1):
        buyer = Buyer(stage, lago, organization)
        life = scene(buyer)(at=at, kill=victim)
        if len(life.boundaries) < at:
            assert not life.error, life.error
            break
        where = f"{at}: {life.boundaries[at - 1]}"
        assert life.died == (victim == "process"), where
        assert not life.error or (victim != "valkey" and "psycopg" in life.error), (where, life.error)
        carry_on(buyer)
        buyers[where] = buyer
    else:
        raise AssertionError("there are more boundaries than organizations")
    counted = Counter(deaths=len(buyers))
    looks = stage.do(f"{ACTS}:look", organizations=[one.organization for one in buyers.values()])
    for (where, buyer), found in zip(buyers.items(), looks, strict=True):
        once = {"purchases": ["completed"], "flagged": [], "grants": 1, "violations": []}
        assert found == once, (where, found)
        assert [one["status"] for one in buyer.top_ups()] == ["settled"], where
        counted.update(purchases=1, grants=1, top_ups=1)
    assert len(buyers) >= 2
    figures[scene.__name__, victim] = counted


def test_without_the_look_up_a_death_after_the_top_up_buys_twice(stage, lago):
    """The control: the same death and the same lease, and nobody looks for what Lago has."""
    stage.settings = {"LAGO_API_URL": lago.url}
    for at, organization in enumerate(stage.do(f"{ACTS}:begin", count=MOST), start=1):
        buyer = Buyer(stage, lago, organization)
        buyer.ordered()
        blindly = {"act": f"{ACTS}:advance_blindly", "purchase": buyer.purchase}
        life = stage.live(**blindly, now=NOW.isoformat(), at=at)
        if life.boundaries[-1] == "after POST /api/v1/wallet_transactions":
            stage.live(**blindly, now=LATER.isoformat())
            assert len(buyer.top_ups()) == 2
            return
    raise AssertionError("the top-up was never sent")


@pytest.fixture(scope="module")
def figures():
    found = {}
    yield found
    for (scene, victim), counted in sorted(found.items()):
        print(f"{scene:20} {victim:9} {dict(counted)}")  # noqa: T201 - shown with -s
