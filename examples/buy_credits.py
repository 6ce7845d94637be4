"""Buying credits over the REST API, and stopping before what is too much (workflow 12).

Needs nothing of the portal: PORTAL_URL, a key with the scopes billing:read, billing:write and usage:write in KEY, and the
organization's id in ORG.
"""

import os
from typing import Any
from uuid import uuid4

import requests


def ask(
    method: str, path: str, body: dict[str, Any] | None = None, key: str = ""
) -> tuple[int, dict[str, Any]]:
    """Send a request; returns status and body."""
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"} | ({"Idempotency-Key": key} if key else {})
    url = f"{os.environ.get('PORTAL_URL', 'http://127.0.0.1:8000')}/api/v1{path}"
    answer = requests.request(method, url, json=body, headers=headers, timeout=30)
    return answer.status_code, answer.json()


def main(org_id: str, send: Any = ask) -> None:
    _, wallet = send("GET", f"/lago/wallets?external_customer_id={org_id}")
    print(f"{wallet['wallet']['credits_balance']} credits available")
    for method, amount in (("POST", "100.00"), ("PATCH", "50.00")):
        order = {"external_customer_id": org_id, "paid_credits": amount}
        _, bought = send(method, "/lago/wallets", order, f"order-{uuid4().hex}")
        purchase = bought["purchase"]
        print(
            f"{purchase['credits']} credits for {amount}: {purchase['status']}, pay at {purchase['payment_url']}"
        )
    _, found = send("GET", f"/lago/invoices?external_customer_id={org_id}&limit=5")
    for invoice in found["invoices"]:
        print(f"  {invoice['number']}: {invoice['total_amount']} {invoice['payment_status']}")

    # Not a look at the wallet: a hold takes the credits out of everybody's reach, or says that there are too few.
    hold = {"transaction_id": f"req_{uuid4().hex}", "credits": "250", "org_id": org_id}
    status, answer = send("POST", "/usage/holds", hold)
    if status == 402:
        print(f"stopped: {answer['error']['message']}")
        return
    send("POST", f"/usage/holds/{answer['hold']['id']}/capture", {"credits": "180"})
    print("done, 180 credits")


if __name__ == "__main__":
    main(os.environ["ORG"])
