"""What one HTTP client sends again and again: a script for each side of each scenario."""

import itertools
import json
import os
import random
from collections.abc import Callable
from typing import Final

from bench.spots import Spot, World
from bench.traffic import Script
from bench.work import BATCH, CREDITS, MODEL, TOKENS

_numbers = itertools.count()
_RUN: Final = os.urandom(4).hex()


def scripts(name: str, side: str, world: World) -> Callable[[], Script]:
    """Return what begins one operation after the other."""
    send = _Sender(world.key)
    if side == "textbook":
        spots = world.textbook[:1] if name == "hot" else world.textbook
        return lambda: _once(send("/api/v1/textbook/charges", _textbook(random.choice(spots))))
    mine = world.unlimited[:1] if name == "hot" else world.unlimited
    if name == "pairs":
        return lambda: _pair(send, random.choice(mine))
    if name == "batches":
        return lambda: _once(send("/api/v1/usage/charges/batch", _batch(mine)))
    return lambda: _once(send("/api/v1/usage/charges", json.dumps(_charge(random.choice(mine)))))


def warm_up(world: World) -> Callable[[], Script]:
    """Return what charges everybody once; whichever worker answers then knows all of them."""
    send = _Sender(world.key)
    body = json.dumps({"charges": [_charge(spot) for spot in world.unlimited]})
    return lambda: _once(send("/api/v1/usage/charges/batch", body.replace(_RUN, os.urandom(4).hex())))


class _Sender:
    """Makes whole requests, key included, out of a path and a body."""

    def __init__(self, key: str) -> None:
        self._headers = (
            f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        )

    def __call__(self, path: str, body: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        return (head + body).encode("ascii")


def _once(request: bytes) -> Script:
    yield request


def _pair(send: _Sender, spot: Spot) -> Script:
    hold = _charge(spot) | {"credits": str(CREDITS * 2)}
    del hold["input_tokens"]
    placed = yield send("/api/v1/usage/holds", json.dumps(hold))
    cost = {"credits": str(CREDITS), "input_tokens": TOKENS}
    yield send(f"/api/v1/usage/holds/{json.loads(placed)['hold']['id']}/capture", json.dumps(cost))


def _charge(spot: Spot) -> dict[str, object]:
    return {
        "transaction_id": _transaction_id(),
        "org_id": spot.organization,
        "user_id": spot.user,
        "credits": str(CREDITS),
        "model": MODEL,
        "input_tokens": TOKENS,
        "service": "llm",
    }


def _batch(spots: tuple[Spot, ...]) -> str:
    return json.dumps({"charges": [_charge(random.choice(spots)) for _ in range(BATCH)]})


def _textbook(spot: tuple[int, int]) -> str:
    organization_id, member = spot
    return json.dumps(
        {
            "organization_id": organization_id,
            "member": member,
            "transaction_id": _transaction_id(),
            "credits": str(CREDITS),
            "model": MODEL,
            "tokens": TOKENS,
        }
    )


def _transaction_id() -> str:
    return f"http-{_RUN}-{os.getpid()}-{next(_numbers)}"
