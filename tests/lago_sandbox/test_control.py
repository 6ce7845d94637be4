"""The control plane: time, faults, reset (B61)."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import requests


def test_the_clock_goes_back_only_before_the_first_customer(shop):
    before = shop.lago.now()
    shop.lago.set_clock("2025-05-01T00:00:00Z")
    assert shop.lago.now().startswith("2025-05-01T00:00")
    shop.lago.set_clock(before)
    shop.customer()
    shop.lago.advance(3600)
    assert shop.lago.now() > before
    answer = requests.post(f"{shop.lago.url}/sandbox/clock", json={"set": before}, timeout=5)
    assert (answer.status_code, "forward" in answer.json()["error"]) == (400, True)


def test_advancing_does_what_falls_due_in_order(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("weekly", 100, interval="weekly")
    shop.plan("monthly", 1900)
    shop.customer()
    shop.subscribe("weekly", "sub_w")
    shop.subscribe("monthly", "sub_m")
    shop.lago.set_clock("2027-12-02T00:00:00Z")
    made = [(one["issuing_date"], one["total_amount_cents"]) for one in reversed(shop.invoices())]
    weeks = [("2027-11-08", 100), ("2027-11-15", 100), ("2027-11-22", 100), ("2027-11-29", 100)]
    assert sorted(made[:2]) == [("2027-11-01", 100), ("2027-11-01", 1900)]
    assert made[2:] == [*weeks, ("2027-12-01", 1900)]


@pytest.mark.parametrize(
    "given", [{"noise": 1}, {"moment": "soon"}, {"psp": 1}, {"webhook_wait_scale": True}], ids=str
)
def test_a_wrong_setting_is_400_and_changes_nothing(lago, given):
    before = requests.get(f"{lago.url}/sandbox/settings", timeout=5).json()
    assert requests.post(f"{lago.url}/sandbox/settings", json=given, timeout=5).status_code == 400
    assert requests.get(f"{lago.url}/sandbox/settings", timeout=5).json() == before


def test_b61_a_502_is_html_and_nothing_was_done(shop):
    shop.lago.faults({"method": "POST", "path": "/customers$", "status": 502})
    body = {"customer": {"external_id": "org_1"}}
    answer = shop.lago.api("POST", "customers", json=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert shop.get("customers")["customers"] == []
    assert shop.lago.api("POST", "customers", json=body).status_code == 200


def test_b61_a_502_after_the_commit_hides_what_was_done(shop):
    shop.lago.faults({"path": "/customers$", "status": 502, "after_commit": True})
    assert shop.lago.api("POST", "customers", json={"customer": {"external_id": "org_1"}}).status_code == 502
    assert len(shop.get("customers")["customers"]) == 1


def test_b61_a_connection_cut_after_the_commit_leaves_the_top_up_there(shop):
    shop.customer()
    wallet = shop.wallet()
    shop.lago.faults({"method": "POST", "path": "wallet_transactions$", "drop": True})
    body = {"wallet_transaction": {"wallet_id": wallet["lago_id"], "paid_credits": "45"}}
    with pytest.raises(requests.ConnectionError):
        shop.lago.api("POST", "wallet_transactions", json=body)
    path = f"wallets/{wallet['lago_id']}/wallet_transactions"
    assert len(shop.get(path)["wallet_transactions"]) == 1


def test_b61_a_connection_cut_before_the_work_leaves_nothing(shop):
    shop.lago.faults({"method": "POST", "path": "customers", "drop": True, "after_commit": False})
    with pytest.raises(requests.ConnectionError):
        shop.lago.api("POST", "customers", json={"customer": {"external_id": "org_1"}})
    assert shop.get("customers")["customers"] == []


def test_b61_a_slow_answer_is_slow_as_often_as_planned(shop):
    shop.lago.faults({"path": "organizations", "latency": 0.3, "times": 2})
    took = []
    for _ in range(3):
        begun = time.monotonic()
        shop.get("organizations")
        took.append(time.monotonic() - begun)
    assert [one >= 0.3 for one in took] == [True, True, False]


def test_a_wrong_fault_is_400(lago):
    answer = requests.post(f"{lago.url}/sandbox/faults", json={"faults": [{"colour": 1}]}, timeout=5)
    assert answer.status_code == 400


def test_requests_are_counted_without_ids(shop):
    shop.customer()
    wallet = shop.wallet()
    shop.balance(wallet)
    shop.balance(wallet)
    assert shop.lago.requested("GET", "/api/v1/wallets/<id>") == 2
    assert shop.lago.requested("POST", "/api/v1/customers") == 1


def test_reset_leaves_nothing_and_is_quick(shop, receiver):
    shop.plan("starter", 1900)
    shop.customer()
    shop.subscribe("starter")
    shop.fill(shop.wallet())
    shop.endpoint(receiver.url)
    shop.event("t1")
    shop.lago.settings(psp=False)
    shop.lago.faults({"path": "x"})
    shop.lago.advance(86400)
    begun = time.monotonic()
    shop.lago.reset()
    assert time.monotonic() - begun < 1
    dump = shop.lago.dump()
    assert datetime.fromisoformat(dump.pop("now")) < datetime.now(UTC) + timedelta(hours=1)
    assert [name for name, rows in dump.items() if rows] == []
    assert shop.lago.settings()["psp"] is True
    assert requests.get(f"{shop.lago.url}/sandbox/faults", timeout=5).json() == {"faults": []}
