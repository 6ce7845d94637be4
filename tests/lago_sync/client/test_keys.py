"""Two keys while they are rotated: the new one first, the old one where Lago does not take it."""

import pytest

from lago_sync.client import customers, keys, wallets
from lago_sync.errors import LagoRefused
from tests.lago_sync.client.scripted import refuse, say

FOUND = say(200, {"customer": {"lago_id": "1"}, "wallet_transactions": []})


@pytest.fixture(autouse=True)
def _two_keys(server, settings, monkeypatch):
    settings.LAGO_API_KEY = "the-new-one, the-old-one"
    monkeypatch.setattr(keys, "_works", {})


def sent(server) -> list[str]:
    return [one.headers["Authorization"].removeprefix("Bearer the-") for one in server.asked]


def test_the_new_one_is_enough_where_it_works(server):
    server.answer(FOUND)
    customers.get("org_1")
    assert sent(server) == ["new-one"]


def test_the_other_is_tried_once_and_remembered_also_for_what_is_never_sent_twice(server):
    server.answer(refuse(401), FOUND)
    wallets.top_up({})
    customers.get("org_1")
    assert sent(server) == ["new-one", "old-one", "old-one"]


def test_the_new_one_takes_over_when_the_old_one_ends(server):
    server.answer(refuse(401), FOUND, refuse(401), FOUND)
    for _ in range(3):
        customers.get("org_1")
    assert sent(server) == ["new-one", "old-one", "old-one", "new-one", "new-one"]


def test_where_both_are_dead_lago_refuses(server):
    server.answer(refuse(401))
    with pytest.raises(LagoRefused) as refusal:
        customers.get("org_1")
    assert refusal.value.http_status == 401
    assert sent(server) == ["new-one", "old-one"]
