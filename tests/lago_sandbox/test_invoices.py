"""Invoices: B48, B49, paying, voiding, cards."""

import pytest
import requests


@pytest.fixture
def billed(shop):
    """Return a shop whose customer has an unpaid credit invoice."""
    shop.customer()
    shop.made = shop.top_up(shop.wallet(code="credits"))
    shop.lago.drain()
    [shop.invoice] = shop.invoices()
    shop.path = f"invoices/{shop.invoice['lago_id']}"
    return shop


def test_b48_the_document_is_made_after_a_first_empty_answer(shop):
    shop.customer()
    shop.top_up(shop.wallet())
    shop.lago.settings(moment=60.0)
    shop.lago.drain()  # the invoice; its document is a minute away
    [invoice] = shop.invoices()
    answer = shop.lago.api("POST", f"invoices/{invoice['lago_id']}/download")
    assert (answer.status_code, answer.content, invoice["file_url"]) == (200, b"", None)
    shop.lago.advance(61)
    url = shop.post(f"invoices/{invoice['lago_id']}/download")["invoice"]["file_url"]
    with requests.get(url, timeout=5) as file:  # needs no key
        assert file.headers["Content-Type"] == "application/pdf"
        assert file.content.startswith(b"%PDF-")
        assert invoice["number"].encode() in file.content


def test_b49_an_invoice_that_waits_for_its_payment_is_not_seen(shop):
    shop.lago.settings(licence=True)
    shop.customer()
    wallet = shop.wallet(invoice_requires_successful_payment=True)
    made = shop.top_up(wallet)
    shop.lago.drain()
    invoice_id = shop.transaction(made)["lago_invoice_id"]
    assert shop.refused("GET", f"invoices/{invoice_id}") == (404, "invoice_not_found")
    assert shop.refused("PUT", f"invoices/{invoice_id}", json={"invoice": {}})[0] == 404
    assert shop.invoices() == []
    shop.lago.pay(invoice_id)
    shop.lago.drain()
    [invoice] = shop.invoices()
    assert (invoice["status"], invoice["number"].endswith("-DRAFT")) == ("finalized", False)
    assert shop.balance(wallet) == "45.0"


def test_b49_without_a_licence_the_same_invoice_is_final_at_once(shop):
    shop.customer()
    shop.top_up(shop.wallet(invoice_requires_successful_payment=True))
    shop.lago.drain()
    assert [one["status"] for one in shop.invoices()] == ["finalized"]


def test_b49_an_invoice_over_nothing_may_be_closed_unseen(shop):
    shop.plan("free", 0)
    shop.customer(finalize_zero_amount_invoice="skip")
    shop.subscribe("free")
    shop.lago.drain()
    assert shop.invoices() == []
    assert [one["status"] for one in shop.lago.dump()["invoice"]] == ["closed"]


def test_a_free_plans_invoice_is_paid_at_once(shop):
    shop.plan("free", 0)
    shop.customer()
    shop.subscribe("free")
    shop.lago.drain()
    [invoice] = shop.invoices()
    assert (invoice["total_amount_cents"], invoice["payment_status"]) == (0, "succeeded")


def test_a_list_has_no_fees_and_an_invoice_has(billed):
    [listed] = billed.get("customers/org_1/invoices")["invoices"]
    assert listed["customer"]["external_id"] == "org_1"
    assert not {"fees", "credits", "subscriptions"} & set(listed)
    assert {"fees", "credits", "subscriptions", "billing_periods"} <= set(billed.invoice)


def test_a_void_invoice_cannot_be_paid_and_a_paid_one_not_voided(billed):
    voided = billed.post(f"{billed.path}/void")["invoice"]
    assert (voided["status"], voided["voided_at"] is not None) == ("voided", True)
    assert billed.refused("POST", f"{billed.path}/void") == (405, "not_voidable")
    paid = {"invoice": {"payment_status": "succeeded"}}
    assert billed.refused("PUT", billed.path, json=paid) == (405, "update_on_voided_invoice")
    assert billed.transaction(billed.made)["status"] == "pending"
    second = billed.fill(billed.wallet())
    path = f"invoices/{second['lago_invoice_id']}/void"
    assert billed.refused("POST", path) == (405, "not_voidable")


def test_a_wrong_payment_status_is_422(billed):
    body = {"invoice": {"payment_status": "paid"}}
    assert billed.refused("PUT", billed.path, json=body) == (422, {"payment_status": ["value_is_invalid"]})


def test_invoice_metadata_is_replaced_by_id(billed):
    given = [{"key": "reference", "value": "PO-7"}]
    first = billed.put(billed.path, invoice={"metadata": given})["invoice"]["metadata"]
    assert billed.refused("PUT", billed.path, json={"invoice": {"metadata": given}})[1] == {
        "key": ["value_already_exist"]
    }
    kept = [{"id": first[0]["lago_id"], "key": "reference", "value": "PO-8"}]
    assert billed.put(billed.path, invoice={"metadata": kept})["invoice"]["metadata"][0]["value"] == "PO-8"


def test_a_stored_card_is_charged_a_moment_later_and_can_be_declined(shop):
    shop.customer()
    page = shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"]
    _press(page)
    wallet = shop.wallet()
    shop.top_up(wallet, "10")
    shop.lago.drain()
    assert shop.balance(wallet) == "10.0"
    shop.lago.settings(card_outcome="failed")
    declined = shop.top_up(wallet, "20")
    shop.lago.drain()
    assert (shop.transaction(declined)["status"], shop.balance(wallet)) == ("failed", "10.0")
    shop.lago.settings(card_outcome="succeeded")
    path = f"invoices/{shop.transaction(declined)['lago_invoice_id']}/retry_payment"
    assert shop.post(path) is None  # 200 without a body
    shop.lago.drain()
    assert shop.balance(wallet) == "30.0"
    assert shop.refused("POST", path) == (405, "invalid_status")


def test_cards_are_listed_chosen_and_removed(shop):
    shop.customer()
    page = shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"]
    _press(page)
    _press(page)
    path = "customers/org_1/payment_methods"
    newest, oldest = shop.get(path)["payment_methods"]
    assert (newest["is_default"], oldest["is_default"], newest["payment_provider_type"]) == (
        True,
        False,
        "stripe",
    )
    assert newest["details"].keys() == {"type", "brand", "last4", "expiration_year", "expiration_month"}
    assert newest["details"] != oldest["details"]
    assert shop.put(f"{path}/{oldest['lago_id']}/set_as_default")["payment_method"] == oldest | {
        "is_default": True
    }
    shop.delete(f"{path}/{oldest['lago_id']}")
    [left] = shop.get(path)["payment_methods"]
    assert (left["lago_id"], left["is_default"]) == (newest["lago_id"], True)
    shop.delete(f"{path}/{newest['lago_id']}")
    assert shop.refused("DELETE", f"{path}/{newest['lago_id']}") == (404, "payment_method_not_found")
    shop.top_up(shop.wallet())
    shop.lago.drain()
    assert shop.invoices()[0]["payment_status"] == "pending"  # nothing to charge it to


def test_an_invoice_becomes_overdue_after_its_date_and_is_told_of(billed, receiver):
    billed.endpoint(receiver.url, event_types=["invoice.payment_overdue"])
    assert billed.invoice["payment_overdue"] is False
    billed.lago.advance(2 * 86400)
    billed.lago.drain()
    assert billed.get(billed.path)["invoice"]["payment_overdue"] is True
    assert receiver.kinds == ["invoice.payment_overdue"]


def _press(page):
    with requests.Session() as browser:
        token = browser.get(page, timeout=5).text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        form = {"csrfmiddlewaretoken": token}
        assert browser.post(page, data=form, headers={"Referer": page}, timeout=5).status_code == 200
