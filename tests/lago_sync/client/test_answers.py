"""What the client makes of Lago's answers: not there, refused, and no answer at all are three things."""

from decimal import Decimal

import pytest

from lago_sync.client import catalogue, customers, invoices, organization, subscriptions, transport, wallets
from lago_sync.errors import LagoNotConfigured, LagoRefused, LagoUnavailable, LagoUnreachable
from tests.lago_sync.client.scripted import cut, drop, refuse, say

OK = say(200, {"customer": {"lago_id": "1"}})
HTML = b"<html><body>502 Bad Gateway</body></html>"


class TestNotThere:
    @pytest.mark.parametrize(
        ("ask", "code"),
        [
            (lambda: customers.get("org_1"), "customer_not_found"),
            (lambda: catalogue.plan("starter"), "plan_not_found"),
            (lambda: catalogue.metric("credits_used"), "billable_metric_not_found"),
            (lambda: wallets.get("1"), "wallet_not_found"),
            (lambda: invoices.get("1"), "invoice_not_found"),
            (lambda: subscriptions.terminate("sub_1"), "subscription_not_found"),
        ],
    )
    def test_is_none(self, server, ask, code):
        server.answer(refuse(404, code))
        assert ask() is None

    def test_is_not_what_an_address_says_that_lago_does_not_have(self, server):
        """A wrong LAGO_API_URL must not look like a customer that is not there yet."""
        server.answer(refuse(404, "resource_not_found"))
        with pytest.raises(LagoRefused):
            customers.get("org_1")
        with pytest.raises(LagoRefused):
            subscriptions.terminate("sub_1")

    @pytest.mark.parametrize("answer", [say(404, HTML), say(404, b""), say(404, {"error": "nothing here"})])
    def test_is_not_what_another_server_says(self, server, answer):
        server.answer(answer)
        with pytest.raises((LagoRefused, LagoUnavailable)):
            customers.get("org_1")

    def test_is_an_error_for_a_list_of_something_that_is_not_there(self, server):
        server.answer(refuse(404, "customer_not_found"))
        with pytest.raises(LagoRefused) as refusal:
            list(wallets.of_customer("org_1"))
        assert refusal.value.http_status == 404


class TestRefused:
    @pytest.mark.parametrize(
        ("answer", "status", "code", "codes", "named"),
        [
            (
                refuse(422, "validation_errors", {"currency": ["value_is_invalid"]}),
                422, "validation_errors", {"currency": ["value_is_invalid"]}, "value_is_invalid",
            ),
            (
                refuse(422, "validation_errors", {"0": {"transaction_id": ["value_already_exist"]}, "7": {"code": ["value_is_mandatory"]}}),
                422, "validation_errors",
                {"0": {"transaction_id": ["value_already_exist"]}, "7": {"code": ["value_is_mandatory"]}},
                "value_already_exist",
            ),
            (
                refuse(422, "validation_errors", {"0": "expression_evaluation_failed: b"}),
                422, "validation_errors", {"0": "expression_evaluation_failed: b"}, "expression_evaluation_failed: b",
            ),
            (
                refuse(422, "validation_errors", "expression_evaluation_failed: b"),
                422, "validation_errors", "expression_evaluation_failed: b", "expression_evaluation_failed: b",
            ),
            (
                refuse(422, "validation_errors", {"metadata": "too_many_keys"}),
                422, "validation_errors", {"metadata": "too_many_keys"}, "too_many_keys",
            ),
            (
                refuse(422, "validation_errors", {"status": {"0": ["must be one of: draft"]}}),
                422, "validation_errors", {"status": {"0": ["must be one of: draft"]}}, "must be one of: draft",
            ),
            (
                refuse(422, "validation_errors", {"base": ["no_linked_payment_provider"]}),
                422, "validation_errors", {"base": ["no_linked_payment_provider"]}, "no_linked_payment_provider",
            ),
            (refuse(400), 400, "", {}, None),
            (refuse(401), 401, "", {}, None),
            (refuse(403, "feature_unavailable"), 403, "feature_unavailable", {}, None),
            (refuse(405, "no_active_subscription"), 405, "no_active_subscription", {}, None),
        ],
    )  # fmt: skip
    def test_carries_lagos_own_words_in_each_of_their_shapes(
        self, server, answer, status, code, codes, named
    ):
        server.answer(answer)
        with pytest.raises(LagoRefused) as caught:
            customers.upsert({"external_id": "org_1"})
        refusal = caught.value
        assert (refusal.http_status, refusal.lago_code, refusal.codes) == (status, code, codes)
        assert named is None or refusal.has(named)
        assert not refusal.has("something_else")
        assert (refusal.code, refusal.status) == ("billing_unavailable", 502)

    def test_a_lock_at_lago_is_no_refusal(self, server):
        server.answer(refuse(422, "lock_acquisition_failed"))
        with pytest.raises(LagoUnavailable):
            customers.upsert({"external_id": "org_1"})


class TestNoAnswer:
    @pytest.mark.parametrize(
        "answer",
        [
            *(say(status, {"status": status, "error": "x", "code": "x"}) for status in (500, 501, 502, 503, 504, 520)),
            *(say(status, {"status": status, "error": "x"}) for status in (408, 429)),
            say(502, HTML),
            say(500, b""),
            say(403, HTML),
            say(200, HTML),
            say(200, b'{"customer": {"lago_id"'),
            say(200, b'{"customer": NaN}'),
            say(200, b"[]"),
            say(200, b"null"),
            say(200, b"\xff\xfe"),
            say(200, b"[" * 100_000),
            say(200, {}),
            say(200, b""),
            say(200, {"customer": None}),
            say(200, {"customer": []}),
            say(204, b""),
            say(301, b"", Location="/elsewhere"),
            say(304, b""),
            cut,
            drop,
        ],
    )  # fmt: skip
    def test_is_unavailable_and_no_other_error(self, server, answer):
        server.answer(answer)
        with pytest.raises(LagoUnavailable) as caught:
            customers.get("org_1")
        assert not isinstance(caught.value, LagoUnreachable)

    def test_where_nobody_listens_nothing_was_done(self, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        with pytest.raises(LagoUnreachable):
            wallets.top_up({"wallet_id": "1", "paid_credits": "10.0"})

    @pytest.mark.parametrize("missing", ["LAGO_API_URL", "LAGO_API_KEY"])
    def test_without_address_or_key_nothing_is_tried(self, settings, missing):
        setattr(settings, missing, "")
        with pytest.raises(LagoNotConfigured, match="Lago API configuration missing"):
            organization.get()


class TestNumbers:
    def test_no_float_comes_out_of_an_answer(self, server):
        server.answer(say(200, b'{"customer": {"amount": 0.1, "cents": 10}}'))
        found = customers.get("org_1")
        assert found == {"amount": Decimal("0.1"), "cents": 10}
        assert isinstance(found["amount"], Decimal)

    @pytest.mark.parametrize("wrong", [Decimal("0.1"), float("nan")])
    def test_what_is_no_json_is_never_sent(self, server, wrong):
        server.answer(OK)
        with pytest.raises((TypeError, ValueError)):
            transport.post("customers", {"customer": {"amount": wrong}}, repeats=True)
        assert not server.asked


class TestLists:
    def test_go_on_to_the_last_page_and_show_a_row_once_though_rows_move(self, server):
        def page(ids, following):
            return say(200, {"wallets": [{"lago_id": one} for one in ids], "meta": {"next_page": following}})

        server.answer(page(["c", "b"], 2), page(["b", "a"], None))
        assert [one["lago_id"] for one in wallets.of_customer("org_1")] == ["c", "b", "a"]
        assert server.paths() == [
            "/api/v1/customers/org_1/wallets?page=1&per_page=100",
            "/api/v1/customers/org_1/wallets?page=2&per_page=100",
        ]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"wallets": None, "meta": {}},
            {"wallets": {}, "meta": {}},
            {"meta": {"next_page": None}},
            {"wallets": [{"lago_id": str(one)} for one in range(100)]},
            {"wallets": [{"lago_id": "1"}], "meta": {"next_page": 1}},
            {"wallets": [{"lago_id": "1"}], "meta": {"next_page": 7}},
        ],
    )
    def test_that_cannot_be_read_to_their_end_are_none(self, server, body):
        """An answer of another shape taken for an empty list would buy a second time."""
        server.answer(say(200, body))
        with pytest.raises(LagoUnavailable):
            list(wallets.of_customer("org_1"))

    def test_a_second_page_that_fails_fails_the_whole(self, server):
        server.answer(say(200, {"wallets": [{"lago_id": "1"}], "meta": {"next_page": 2}}), say(500, b""))
        with pytest.raises(LagoUnavailable):
            list(wallets.of_customer("org_1"))

    def test_without_meta_a_short_page_is_the_last(self, server):
        server.answer(say(200, {"wallets": [{"lago_id": "1"}]}))
        assert len(list(wallets.of_customer("org_1"))) == 1

    def test_the_states_of_subscriptions_are_asked_for_and_looked_at(self, server):
        rows = [{"lago_id": "1", "status": "active"}, {"lago_id": "2", "status": "pending"}]
        server.answer(say(200, {"subscriptions": rows, "meta": {}}))
        found = list(subscriptions.of_customer("org_1", statuses=("active", "terminated")))
        assert [one["lago_id"] for one in found] == ["1"]
        assert server.paths() == [
            "/api/v1/customers/org_1/subscriptions?status%5B%5D=active&status%5B%5D=terminated&page=1&per_page=100"
        ]
