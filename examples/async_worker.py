"""An async worker that records what it did; the same names, awaited (`lago_sync.aio`)."""

import asyncio
from uuid import uuid4

import lago_sync
from examples import portal


async def work(org_id: str) -> None:
    from lago_sync import aio

    async def call(number: int) -> None:
        await asyncio.sleep(0)  # the model answers
        await aio.record_api_call(
            org_id, f"req_{uuid4().hex}", "/v1/chat", tokens=100 * number, model="gpt-4o"
        )

    await asyncio.gather(*(call(number) for number in range(5)))
    subscription = await aio.get_subscription(org_id)
    print(f"recorded 5 calls of {org_id} on {subscription['plan_code'] if subscription else 'no plan'}")


def main() -> None:
    org_id = portal.new_id()
    lago_sync.subscribe_org_to_plan(
        org_id, "starter", "Example Ltd", f"billing@{org_id.replace('_', '-')}.example"
    )
    asyncio.run(work(org_id))


if __name__ == "__main__":
    main()
