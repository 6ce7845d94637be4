"""The pages for a person."""

import re

import pytest
import requests

from tests.factories.lago import start_sandbox
from tests.lago_sandbox.shop import Shop


class Browser(requests.Session):
    """Follows links and presses buttons, with the cookies and tokens of forms."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def see(self, path):
        self.at = self.get(path if path.startswith("http") else f"{self.base}{path}", timeout=5)
        assert self.at.status_code == 200
        return self.at.text

    def press(self, *, action="", form="", **fields):
        html = self.at.text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)[1]
        target = f"{self.base}{form}" if form else self.at.url
        data = {"csrfmiddlewaretoken": token, "action": action, **fields}
        self.at = self.post(target, data=data, headers={"Referer": self.at.url}, timeout=5)
        return self.at.text


@pytest.fixture
def browser(lago):
    with Browser(lago.url) as found:
        yield found


@pytest.fixture
def payable(shop):
    """Return (shop, transaction, address of the page) of an unpaid top-up."""
    shop.customer(name="Acme & Sons")
    made = shop.top_up(shop.wallet())
    shop.lago.drain()
    url = shop.post(f"wallet_transactions/{made['lago_id']}/payment_url")
    return shop, made, url["wallet_transaction_payment_details"]["payment_url"]


def test_paying_on_the_page_settles_the_top_up(payable, browser):
    shop, made, url = payable
    html = browser.see(url)
    assert "45.00 USD" in html
    assert "Acme &amp; Sons" in html
    assert shop.invoices()[0]["number"] in html
    assert "no money moves" in html
    assert "Paid." in browser.press(action="pay")
    shop.lago.drain()
    assert shop.transaction(made)["status"] == "settled"
    assert 'value="pay"' not in browser.see(url)


def test_declining_on_the_page_leaves_it_to_be_tried_again(payable, browser):
    shop, made, url = payable
    browser.see(url)
    assert "Declined." in browser.press(action="decline")
    shop.lago.drain()
    assert shop.transaction(made)["status"] == "failed"
    browser.press(action="pay")
    shop.lago.drain()
    assert shop.transaction(made)["status"] == "settled"


def test_pressing_pay_twice_pays_once(payable, browser):
    shop, _, url = payable
    browser.see(url)
    form = browser.at
    browser.press(action="pay")
    browser.at = form
    browser.press(action="pay")
    shop.lago.drain()
    assert shop.balance(shop.get("wallets", external_customer_id="org_1")["wallets"][0]) == "45.0"


def test_a_void_invoice_offers_nothing_to_pay(payable, browser):
    shop, _, url = payable
    shop.post(f"invoices/{shop.invoices()[0]['lago_id']}/void")
    assert "<button" not in browser.see(url)


def test_a_form_without_its_token_is_refused(payable):
    _, _, url = payable
    assert requests.post(url, data={"action": "pay"}, timeout=5).status_code == 403


def test_the_list_pays_declines_and_voids(payable, browser):
    shop, _, _ = payable
    path = f"/invoices/{shop.invoices()[0]['lago_id']}"
    assert shop.invoices()[0]["number"] in browser.see("/")
    form = browser.at
    assert "declined" in browser.press(form=f"{path}/decline")
    assert "void" in browser.press(form=f"{path}/void")
    assert shop.invoices()[0]["status"] == "voided"
    browser.at = form  # a page that was opened earlier
    assert "That cannot be done now" in browser.press(form=f"{path}/pay")


def test_an_empty_list_says_what_to_do(browser):
    assert "No invoices yet" in browser.see("/")


def test_pages_load_nothing_but_their_own_style_sheet(payable, browser):
    _, _, url = payable
    for path in (url, "/"):
        html = browser.see(path)
        policy = browser.at.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self'")
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", html)
    assert (
        browser.get(f"{browser.base}/static/sandbox.css", timeout=5)
        .headers["Content-Type"]
        .startswith("text/css")
    )


def test_the_cookie_does_not_clash_with_the_portals(payable, browser):
    browser.see(payable[2])
    assert list(browser.cookies.keys()) == ["lago_sandbox_csrf"]


def test_after_paying_there_is_a_way_back_to_the_portal(tmp_path):
    sandbox = start_sandbox(tmp_path, LAGO_SANDBOX_RETURN_URL="http://portal.example/back")
    shop = Shop(sandbox)
    shop.customer()
    made = shop.top_up(shop.wallet())
    sandbox.drain()
    path = f"wallet_transactions/{made['lago_id']}/payment_url"
    url = shop.post(path)["wallet_transaction_payment_details"]["payment_url"]
    with Browser(sandbox.url) as browser:
        assert "Back to the portal" not in browser.see(url)
        assert '<a href="http://portal.example/back">Back to the portal</a>' in browser.press(action="pay")
    sandbox.stop()
    sandbox.close()


def test_the_list_loses_a_dispute_and_the_clock_moves_on(payable, browser):
    shop, made, url = payable
    browser.see(url)
    browser.press(action="pay")
    shop.lago.drain()
    browser.see("/")
    invoice_id, before = shop.invoices()[0]["lago_id"], shop.lago.now()
    assert "dispute lost" in browser.press(form=f"/invoices/{invoice_id}/dispute")
    assert "payment_dispute_lost_at" in shop.invoices()[0]
    assert shop.transaction(made)["status"] == "settled"
    browser.press(form="/clock", step="day")
    assert shop.lago.now()[:10] > before[:10]
    browser.see("/")
    browser.press(form="/clock", step="century")
    assert browser.at.status_code == 200
