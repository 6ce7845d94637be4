"""A hold with many usage records against a hold with few: two databases of one server, asked in short turns."""

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Final

import psycopg

from bench.scale_figures import Hold, ratio
from billing_portal.embedded.places import DATABASE, Instance

_SMALL: Final = "portal_small"
_IN_A_TURN: Final = 25
_WARM_UPS: Final = 200


def run(options: argparse.Namespace, instance: Instance) -> list[Hold]:
    """Double the data of the large database, build the small one, and let both place holds; a pair of figures."""
    from django.db import connection

    from bench import scale_world

    many, few = 2 * options.usage, options.few
    scale_world.build(options.organizations, options.members, options.usage)
    connection.close()
    _create(instance)
    holds = [Hold(few), Hold(many)]
    halves = [few // 2, few - few // 2]
    build = [(options.organizations, options.members, half) for half in halves]
    with _worker(_url(instance, _SMALL), build) as small, _worker(instance.database_url, []) as large:
        pairs = list(zip(holds, (small, large), strict=True))
        for turn in range(options.turns):
            for hold, pipe in pairs if turn % 2 else reversed(pairs):  # neither always comes first
                pipe.send(_IN_A_TURN)
                hold.turns.append(pipe.recv())
    print(f"bench: holds: {ratio(holds):.3f} times as long with {many:,} records as with {few:,}", flush=True)
    return holds


def _create(instance: Instance) -> None:
    administration = f"host={instance.sockets} user={DATABASE} dbname=postgres"
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {_SMALL} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {_SMALL}")


def _url(instance: Instance, database: str) -> str:
    return instance.database_url.removesuffix(f"/{DATABASE}") + f"/{database}"


@contextmanager
def _worker(url: str, build: list[tuple[int, int, int]]) -> "Iterator[Connection[int, list[float]]]":
    """Run a process on this database that places as many holds as it is told and says how long each took."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, url, build), daemon=True)
    process.start()
    theirs.close()  # so that a process that ends is noticed as one
    try:
        ours.recv()
        yield ours
    finally:
        ours.close()
        process.join(timeout=10)
        process.kill()


def _work(pipe: "Connection[list[float], int]", url: str, build: list[tuple[int, int, int]]) -> None:
    os.environ["DATABASE_URL"] = url
    import django

    django.setup()
    from bench import scale_world

    for organizations, members, usage in build:
        scale_world.build(organizations, members, usage)
    places = scale_world.places()
    for number in range(_WARM_UPS):
        _hold(places[number % len(places)], number)
    pipe.send([])
    number = _WARM_UPS
    while True:
        try:
            wanted = pipe.recv()
        except EOFError:
            return
        pipe.send([_hold(places[one % len(places)], one) for one in range(number, number + wanted)])
        number += wanted


def _hold(place: object, number: int) -> float:
    """Place a hold and release it; return the seconds that placing took."""
    from bench.scale_world import Place
    from credits.ledger import combining
    from credits.ledger.commands import PlaceHold, Reach, ReleaseHold, Settled, Spender
    from credits.pricing.costs import CreditsCost

    assert isinstance(place, Place)
    spender = Spender(made_by="bench", user_id=place.user_id)
    command = PlaceHold(
        organization_id=place.organization_id,
        spender=spender,
        transaction_id=f"hold-{os.getpid()}-{number}",
        cost=CreditsCost(Decimal("0.015"), "gpt-4o", 1_500),
        service="llm",
        ttl_seconds=600,
    )
    begun = time.perf_counter()
    outcome = combining.submit(command)
    took = time.perf_counter() - begun
    if not isinstance(outcome, Settled) or outcome.hold is None:
        raise RuntimeError(f"no hold was placed: {outcome}")
    combining.submit(ReleaseHold(hold_id=outcome.hold.pk, spender=spender, reach=Reach.ANY))
    return took
