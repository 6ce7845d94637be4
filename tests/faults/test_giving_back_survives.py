"""Whatever dies at any boundary of giving an order up or of a refund: nothing is lost, nothing is done twice."""

import pytest

from tests.faults.test_purchases_survive import LATER, MOST, NOW, Buyer, figures  # noqa: F401 - a fixture

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

ACTS = "tests.faults.giving_back"


@pytest.fixture
def bought(stage, lago):
    """Return what makes an organization's purchase wait for its payment, or completes it."""
    stage.settings = {
        "LAGO_API_URL": lago.url,
        "LAGO_PAYMENT_PROVIDER": "stripe",
        "LAGO_PAYMENT_PROVIDER_CODE": "stripe",
    }

    def make(organization, *, is_paid):
        buyer = Buyer(stage, lago, organization)
        buyer.ordered()
        buyer.advanced()
        buyer.advanced()
        if is_paid:
            buyer.pay()
            assert buyer.advanced() == "completed"
        return buyer

    return make


def everywhere(stage, act, bought, *, is_paid, carry_on):
    """Die at each boundary of an act, carry on, and return the buyers by where it was."""
    buyers = {}
    for at, organization in enumerate(stage.do("tests.faults.buying:begin", count=MOST), start=1):
        buyer = bought(organization, is_paid=is_paid)
        life = stage.live(f"{ACTS}:{act}", purchase=buyer.purchase, now=NOW.isoformat(), at=at)
        if len(life.boundaries) < at:
            assert not life.error, life.error
            return buyers
        assert life.died
        carry_on(buyer)
        buyers[f"{at}: {life.boundaries[at - 1]}"] = buyer
    raise AssertionError("there are more boundaries than organizations")


def looked(stage, buyers):
    return stage.do(f"{ACTS}:look", organizations=[one.organization for one in buyers.values()])


def test_an_order_is_given_up_once_and_its_invoice_void(stage, lago, bought, figures):  # noqa: F811
    def carry_on(buyer):
        for _ in range(2):
            stage.do(f"{ACTS}:give_up", purchase=buyer.purchase, now=LATER.isoformat())
            lago.drain()

    buyers = everywhere(stage, "give_up", bought, is_paid=False, carry_on=carry_on)
    for (where, buyer), found in zip(buyers.items(), looked(stage, buyers), strict=True):
        given_up = {"status": "abandoned", "drift": "", "grants": 0, "refunds": 0, "told": 0, "withdrawals": 0, "violations": []}  # fmt: skip
        assert found == given_up, (where, found)
        [top_up] = buyer.top_ups()
        invoice = lago.api("GET", f"invoices/{top_up['lago_invoice_id']}").json()["invoice"]
        assert invoice["status"] == "voided", where
    assert len(buyers) >= 4
    figures["give up", "process"] = {"deaths": len(buyers), "purchases": len(buyers), "grants": 0}


def test_a_refund_takes_back_once_and_lago_is_told_once(stage, lago, bought, figures):  # noqa: F811
    def carry_on(buyer):
        stage.do(f"{ACTS}:refund", purchase=buyer.purchase, now=NOW.isoformat())
        for _ in range(2):
            stage.do(f"{ACTS}:tell", organization=buyer.organization, now=LATER.isoformat())
        lago.drain()

    buyers = everywhere(stage, "refund", bought, is_paid=True, carry_on=carry_on)
    for (where, buyer), found in zip(buyers.items(), looked(stage, buyers), strict=True):
        taken_back = {"status": "refunded", "drift": "", "grants": 1, "refunds": 1, "told": 1, "withdrawals": 1, "violations": []}  # fmt: skip
        assert found == taken_back, (where, found)
        [wallet] = lago.api("GET", f"customers/{buyer.organization}/wallets").json()["wallets"]
        there = lago.api("GET", f"wallets/{wallet['lago_id']}/wallet_transactions").json()
        kinds = [one["transaction_status"] for one in there["wallet_transactions"]]
        assert sorted(kinds) == ["purchased", "voided"], where
    assert len(buyers) >= 6
    figures["refund", "process"] = {"deaths": len(buyers), "refunds": len(buyers), "voids": len(buyers)}
