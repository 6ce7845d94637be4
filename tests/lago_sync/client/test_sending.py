"""How requests go out: to the one address, with time limits, repeated only where that is safe, the key nowhere else."""

import logging
import os
import time

import pytest
from urllib3 import HTTPResponse

from lago_sync.client import (
    customers,
    organization,
    sending,
    wallets,
)
from lago_sync.errors import LagoIntegrationError, LagoIsSandbox, LagoUnavailable
from tests.lago_sync.client.conftest import KEY
from tests.lago_sync.client.scripted import drop, hang, refuse, say, scripted

AWAY = say(502, b"<html>Bad Gateway</html>")
FOUND = say(200, {"customer": {"lago_id": "1"}, "subscription": {"lago_id": "1"}, "events": []})


class TestRetries:
    def test_end(self, server):
        server.answer(AWAY)
        with pytest.raises(LagoUnavailable):
            customers.get("org_1")
        assert len(server.asked) == 3

    def test_do_not_wait_for_a_second_time_limit(self, server, settings):
        settings.LAGO_TIMEOUT_SECONDS = 0.3
        server.answer(hang(1.5))
        began = time.monotonic()
        with pytest.raises(LagoUnavailable):
            customers.get("org_1")
        assert time.monotonic() - began < 1.2
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [({"Retry-After": "3600"}, 5), ({"X-RateLimit-Reset": "3"}, 3), ({"X-RateLimit-Reset": "900"}, 5), ({}, None)],
    )  # fmt: skip
    def test_wait_as_lago_asks_and_never_long(self, headers, seconds):
        assert sending._Patience().get_retry_after(HTTPResponse(headers=headers)) == seconds

    def test_not_of_a_refusal(self, server):
        server.answer(refuse(422, "validation_errors", {}))
        with pytest.raises(LagoIntegrationError):
            customers.upsert({"external_id": "org_1"})
        assert len(server.asked) == 1


class TestAddress:
    @pytest.mark.parametrize("spelling", ["", "/", "/api/v1", "/api/v1/"])
    def test_comes_with_and_without_its_path(self, server, settings, spelling):
        settings.LAGO_API_URL = server.url + spelling
        server.answer(FOUND)
        customers.get("org_1")
        organization.health()
        assert server.paths() == ["/api/v1/customers/org_1", "/health"]

    def test_may_lie_below_a_path(self, server, settings):
        settings.LAGO_API_URL = server.url + "/billing/api/v1"
        server.answer(FOUND)
        customers.get("org_1")
        organization.health()
        assert server.paths() == ["/billing/api/v1/customers/org_1", "/billing/health"]

    @pytest.mark.parametrize(
        ("external_id", "path"),
        [
            ("a/b", "a%2Fb"),
            ("a?b=c&d#e f", "a%3Fb%3Dc%26d%23e%20f"),
            ("ü.1", "%C3%BC.1"),
        ],
    )
    def test_of_an_id_reaches_nothing_else(self, server, external_id, path):
        server.answer(FOUND)
        customers.get(external_id)
        assert server.paths() == [f"/api/v1/customers/{path}"]

    @pytest.mark.parametrize("external_id", ["", ".", ".."])
    def test_is_none_of_an_id_that_would_reach_a_list_or_another_place(self, server, external_id):
        with pytest.raises(ValueError, match="is no path"):
            customers.get(external_id)
        assert not server.asked

    def test_to_which_lago_redirects_gets_nothing(self, server):
        with scripted() as elsewhere:
            elsewhere.answer(FOUND)
            server.answer(say(302, b"", Location=f"{elsewhere.url}/api/v1/customers/org_1"))
            with pytest.raises(LagoUnavailable):
                customers.get("org_1")
            assert len(server.asked) == 1
            assert not elsewhere.asked


class TestKey:
    def test_is_sent_with_each_call_and_not_outside_the_api(self, server):
        server.answer(FOUND)
        customers.get("org_1")
        organization.health()
        assert [one.headers.get("Authorization") for one in server.asked] == [f"Bearer {KEY}", None]

    def test_is_not_replaced_by_one_of_the_machine(self, server, tmp_path, monkeypatch):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server.answer(FOUND)
        customers.get("org_1")
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize(
        "answer", [FOUND, AWAY, drop, refuse(401), refuse(422, "x", {"key": ["x"]}), say(200, b"<")]
    )
    def test_stands_in_no_log_and_no_error(self, server, caplog, answer):
        caplog.set_level(logging.DEBUG)
        server.answer(answer)
        said = ""
        try:
            customers.upsert({"external_id": "org_1"})
        except LagoIntegrationError as error:
            said = f"{error!r} {error.details} {error.__cause__!r}"
        assert KEY not in caplog.text + said
        assert caplog.text


class TestConnections:
    def test_are_kept_within_a_process_and_not_shared_with_a_fork(self, server):
        server.answer(FOUND)
        customers.get("org_1")
        customers.get("org_2")
        child = os.fork()
        if child == 0:
            try:
                customers.get("org_3")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        customers.get("org_4")
        mine, mine_again, forks, mine_still = [one.connection for one in server.asked]
        assert mine == mine_again == mine_still
        assert forks != mine

    def test_of_what_must_not_be_repeated_are_new_each_time(self, server):
        """On a kept one that Lago closes in that moment a top-up would be lost or made, nobody knows which."""
        server.answer(say(200, {"wallet_transactions": []}))
        wallets.top_up({})
        wallets.top_up({})
        first, second = server.asked
        assert first.connection != second.connection
        assert first.headers["Connection"] == "close"


class TestSandbox:
    @pytest.fixture(autouse=True)
    def _in_production(self, settings):
        settings.DEBUG = settings.TESTING = False

    def test_is_refused_in_production_before_the_key_or_anything_goes_there(self, server):
        server.answer(say(200, {"version": "1"}, X_Lago_Sandbox="1"))
        for _ in range(2):
            with pytest.raises(LagoIsSandbox):
                wallets.top_up({})
        assert {(one.path, one.headers.get("Authorization")) for one in server.asked} == {("/health", None)}

    def test_is_refused_where_it_takes_the_place_of_a_lago(self, server):
        server.answer(say(200, {"version": "1"}), FOUND, say(200, {"customer": {}}, X_Lago_Sandbox="1"))
        customers.get("org_1")
        with pytest.raises(LagoIsSandbox):
            customers.get("org_1")

    def test_a_real_lago_is_asked_once(self, server):
        server.answer(say(404, b""), FOUND)
        customers.get("org_1")
        customers.get("org_1")
        assert server.paths() == ["/health", "/api/v1/customers/org_1", "/api/v1/customers/org_1"]

    def test_a_lago_that_is_away_is_asked_again(self, server):
        server.answer(drop, drop, say(200, {"version": "1"}), FOUND)
        with pytest.raises(LagoUnavailable):
            customers.get("org_1")
        customers.get("org_1")
        assert server.paths() == ["/health"] * 3 + ["/api/v1/customers/org_1"]
