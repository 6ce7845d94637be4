"""What a portal does with Lago, in a word each; an answer that is not the expected one fails the test."""

from typing import Any

from tests.factories.lago import Sandbox


class Shop:
    def __init__(self, lago: Sandbox) -> None:
        self.lago = lago
        self.metrics: dict[str, str] = {}

    def get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params)

    def post(self, path: str, **body: Any) -> Any:
        return self._ask("POST", path, json=body)

    def put(self, path: str, **body: Any) -> Any:
        return self._ask("PUT", path, json=body)

    def delete(self, path: str, **params: Any) -> Any:
        return self._ask("DELETE", path, params=params)

    def refused(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Return the status and (details or code) of a refusal."""
        answer = self.lago.api(method, path, **kwargs)
        body = answer.json()
        assert body["status"] == answer.status_code
        return answer.status_code, body.get("error_details", body.get("code", body["error"]))

    def metric(self, code: str, aggregation: str = "sum_agg", field: str | None = "credits") -> str:
        given = {"name": code, "code": code, "aggregation_type": aggregation, "field_name": field}
        found = self.post("billable_metrics", billable_metric=given)["billable_metric"]
        self.metrics[code] = found["lago_id"]
        return found["lago_id"]

    def plan(self, code: str, cents: int, *, interval: str = "monthly", price: str = "0", **more: Any) -> Any:
        if not self.metrics:
            self.metric("credits_used")
            self.metric("api_call", "count_agg", None)
        charges = [
            {"billable_metric_id": one, "charge_model": "standard", "properties": {"amount": price}}
            for one in self.metrics.values()
        ]
        given = {
            "name": code.title(),
            "code": code,
            "interval": interval,
            "amount_cents": cents,
            "amount_currency": "USD",
            "pay_in_advance": True,
            "charges": charges,
        } | more
        return self.post("plans", plan=given)["plan"]

    def customer(self, external_id: str = "org_1", *, provider: str | None = "stripe", **more: Any) -> Any:
        given = {"external_id": external_id, "name": "Acme", "currency": "USD"} | more
        if provider:
            given["billing_configuration"] = {"payment_provider": provider, "sync_with_provider": True}
        return self.post("customers", customer=given)["customer"]

    def wallet(self, customer: str = "org_1", *, restricted: bool = True, **more: Any) -> Any:
        given = {"external_customer_id": customer, "rate_amount": "1", "currency": "USD"} | more
        if restricted:
            given["applies_to"] = {"billable_metric_codes": ["credits_used"]}
        return self.post("wallets", wallet=given)["wallet"]

    def top_up(self, wallet: Any, paid: str = "45", **more: Any) -> Any:
        given = {"wallet_id": wallet["lago_id"], "paid_credits": paid} | more
        [found] = self.post("wallet_transactions", wallet_transaction=given)["wallet_transactions"]
        return found

    def transaction(self, one: Any) -> Any:
        return self.get(f"wallet_transactions/{one['lago_id']}")["wallet_transaction"]

    def balance(self, wallet: Any) -> str:
        return self.get(f"wallets/{wallet['lago_id']}")["wallet"]["credits_balance"]

    def fill(self, wallet: Any, paid: str = "45") -> Any:
        """Top up and pay."""
        made = self.top_up(wallet, paid)
        self.lago.drain()
        self.lago.pay(self.transaction(made)["lago_invoice_id"])
        self.lago.drain()
        return self.transaction(made)

    def subscribe(self, plan: str, external_id: str = "sub_1", customer: str = "org_1", **more: Any) -> Any:
        given = {"external_customer_id": customer, "plan_code": plan, "external_id": external_id}
        given = {"billing_time": "anniversary"} | given | more
        return self.post("subscriptions", subscription=given)["subscription"]

    def event(self, transaction_id: str, *, code: str = "credits_used", **more: Any) -> Any:
        given = {"transaction_id": transaction_id, "code": code, "external_subscription_id": "sub_1"}
        return self.post("events", event={**given, "properties": {"credits": "1.5"}, **more})["event"]

    def usage(self, subscription: str = "sub_1", customer: str = "org_1") -> Any:
        return self.get(f"customers/{customer}/current_usage", external_subscription_id=subscription)[
            "customer_usage"
        ]

    def invoices(self, customer: str = "org_1") -> list[Any]:
        """Return a customer's invoices with all details, the newest first."""
        listed = self.get(f"customers/{customer}/invoices")["invoices"]
        return [self.get(f"invoices/{one['lago_id']}")["invoice"] for one in listed]

    def endpoint(self, url: str, **more: Any) -> Any:
        given = {"webhook_url": url, "signature_algo": "hmac"} | more
        return self.post("webhook_endpoints", webhook_endpoint=given)["webhook_endpoint"]

    def _ask(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self.lago.api(method, path, **kwargs)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None
