"""The same workflows awaited: one running loop, Django's own connection, none left behind."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections
from django.utils import timezone

from lago_sync import LagoUnavailable, aio
from lago_sync.setup import guard, installing
from tests.factories import orgs
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.outbox import story

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.django_db
def test_every_call_can_be_awaited_in_a_running_loop(lago, settings):  # noqa: F811
    settings.SITE_URL = NOWHERE
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
    owner = orgs.user("Ada", email="ada@new.example").public_id

    async def day():
        assert await aio.is_org_customer("org_new")
        assert (await aio.check_lago_health())["status"] == "healthy"
        made = await aio.create_org_customer("org_new", "New", "bills@new.example", user_id=owner)
        found = await aio.get_or_create_customer("org_new", "New", "bills@new.example")
        assert found["lago_id"] == made["lago_id"]
        started = await aio.subscribe_org_to_plan("org_new", "starter", "New", "bills@new.example")
        again = await aio.create_subscription("org_new", "starter")
        assert again["lago_id"] == started["lago_id"]
        calls = [aio.record_api_call("org_new", f"call-{n % 5}", "/v1/chat", tokens=n) for n in range(10)]
        assert await asyncio.gather(*calls) == [True] * 10
        assert await aio.record_usage("org_new", "api_call", "another")
        await sync_to_async(story.deliver)(after=1)
        await sync_to_async(lago.drain)()
        usage = await aio.get_current_usage("org_new", fresh=True)
        assert [
            one["units"] for one in usage["charges_usage"] if one["billable_metric"]["code"] == "api_call"
        ] == [6]
        assert (await aio.update_org_customer("org_new", org_name="Newer"))["name"] == "Newer"
        changed = await aio.change_plan("org_new", "professional")
        assert changed["external_id"] == started["external_id"]
        assert (await aio.get_subscription("org_new"))["plan_code"] == "professional"
        await sync_to_async(lago.drain)()
        assert len(await aio.get_invoices("org_new", limit=5, fresh=True)) == 2
        assert (await aio.terminate_subscription("org_new"))["status"] == "terminated"
        assert await aio.get_customer("org_unknown") is None
        assert await aio.migrate_user_to_org("user_0", "org_new", "New", "x@new.example") is None
        settings.LAGO_API_URL = NOWHERE
        with pytest.raises(LagoUnavailable):
            await aio.get_customer("org_new", fresh=True)

    async_to_sync(day)()


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
def test_a_loop_of_its_own_leaves_one_connection_and_survives_that_the_server_closes_it():
    def backends() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    def close_the_others() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def work():
        read = [aio.get_customer("org_unknown") for _ in range(40)]
        assert await asyncio.gather(*read) == [None] * 40

    async def end() -> None:
        await sync_to_async(connections.close_all)()

    before = backends()
    try:
        asyncio.run(work())
        assert backends() <= before + 1
        close_the_others()
        asyncio.run(work())
        assert backends() <= before + 1
    finally:
        asyncio.run(end())
