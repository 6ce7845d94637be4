"""A new company: one call makes customer and subscription; its calls are counted once (workflows 1, 2 and 3)."""

from uuid import uuid4

import lago_sync
from examples import portal


def main() -> None:
    org_id = portal.new_id()
    subscription = lago_sync.subscribe_org_to_plan(
        org_id,
        plan_code="professional_monthly",
        org_name="Example Ltd",
        email=f"billing@{org_id.replace('_', '-')}.example",
        user_id="user_42",
    )
    print(f"{org_id} is on {subscription['plan_code']}, {subscription['status']}")

    customer = lago_sync.update_org_customer(org_id, metadata={"crm_id": "1742"})
    for entry in customer["metadata"] if customer else []:
        print(f"  {entry['key']}: {entry['value']}")

    # The id comes from the call, not from the moment of sending: sent again, it is the same call.
    transaction_id = f"req_{uuid4().hex}"
    for _ in range(2):
        lago_sync.record_api_call(
            org_id,
            transaction_id=transaction_id,
            endpoint="/v1/chat/completions",
            user_id="user_42",
            tokens=1500,
            model="gpt-4o",
        )
    lago_sync.record_usage(
        org_id,
        event_code="api_call",
        transaction_id=f"req_{uuid4().hex}",
        properties={"endpoint": "/v1/embeddings"},
    )

    # A worker delivers within seconds; until then the usage is what Lago has.
    usage = lago_sync.get_current_usage(org_id)
    for charge in usage["charges_usage"] if usage else []:
        print(f"{charge['billable_metric']['code']}: {charge['units']}")


if __name__ == "__main__":
    main()
