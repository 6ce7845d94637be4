"""`make load`: many clients over HTTP on one pool and on 1,000 allocations, a fifth of the requests repeated.

The clients' log of what was acknowledged is compared with the books. Then one organization's row is locked for 2 seconds,
again and again, while others go on. 1 where anything was overspent, lost, doubled, answered with 5xx, or deadlocked.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import psycopg

from bench import machine
from bench.__main__ import free_port
from bench.load_clients import Crowd, Log, Target, run
from billing_portal.embedded.places import PORTAL, Instance

FOLDER: Final = PORTAL.folder / "load"
CLIENTS: Final = (100, 300, 1000)
ALLOCATIONS: Final = 1000
LOCKED_SECONDS: Final = 2.0
MOST_SLOWER: Final = 1.5
_HEAD: Final = (
    f"{'':22}{'clients':>8}{'accepted':>10}{'refused':>9}{'replayed':>10}{'overspent':>11}{'lost':>6}{'doubled':>9}"
    f"{'5xx':>5}{'other':>7}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Who is charged in a load."""

    title: str
    organization_id: int
    targets: Sequence[Target]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every load, then the stuck row; print the table and prove the laws."""
    options = _options(arguments)
    folder, port, begun = Path(options.folder), free_port(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    with machine.own_database(folder) as instance:
        machine.use(instance, port=port)
        import django

        django.setup()
        from bench import load_books, server
        from bench.load_world import LoadWorld

        print("load: migrating and filling the tables", flush=True)
        world = LoadWorld()
        before = load_books.deadlocks()
        with server.serving(port=port, log=folder / "gunicorn.log"):
            print(f"\n{_HEAD}")
            sound = [
                _load(world, port, place, clients, options)
                for clients in options.clients
                for place in world.places
            ]
            slower = _stuck(world, instance, port, options)
        broken, deadlocks = load_books.violations(), load_books.deadlocks() - before
        about = machine.describe()
    print(
        f"\ndeadlocks: {deadlocks}; laws of the ledger: {'hold' if not broken else f'{len(broken)} BROKEN'}"
    )
    for one in broken[:20]:
        print(f"  {one}")
    minutes = (time.monotonic() - begun) / 60
    print(
        f"load: commit {about['commit']}, {about['cores']} cores, load {about['load']}, {minutes:.1f} minutes"
    )
    return 0 if all(sound) and not broken and not deadlocks and slower <= MOST_SLOWER else 1


def _load(world: "LoadWorld", port: int, place: Place, clients: int, options: argparse.Namespace) -> bool:  # type: ignore[name-defined] # noqa: F821
    """Send one load and print its line; returns whether all that must be 0 is."""
    from bench import load_books

    prefix = f"load-{clients}-{len(place.targets)}"
    funded = world.fund(place, Decimal(options.credits))
    crowd = Crowd(port=port, key=world.key, clients=clients, targets=place.targets, prefix=prefix)
    log = run(crowd, seconds=options.seconds)
    found = load_books.compare(log, organization_ids=[place.organization_id], funded=funded, prefix=prefix)
    print(
        f"{place.title:22}{clients:8}{found.accepted:10,}{found.refused:9,}{found.replayed:10,}{found.overspent:11}{found.lost:6}"
        f"{found.doubled:9}{found.errors:5}{found.strange + found.wrongly_refused:7}{len(log.answers) / options.seconds:10,.0f}"
        f"{log.percentile(0.5):9,.0f}{log.percentile(0.99):9,.0f}",
        flush=True,
    )
    return found.is_sound


def _stuck(world: "LoadWorld", instance: Instance, port: int, options: argparse.Namespace) -> float:  # type: ignore[name-defined] # noqa: F821
    """Let others go on beside a stuck row and beside a free one, in turns; returns how many times their p99 it is."""
    series: dict[bool, Log] = {True: Log(), False: Log()}
    waited = Log()
    for turn in range(2 * options.turns):
        is_locked = turn % 2 == 1
        crowd = Crowd(
            port=port,
            key=world.key,
            clients=32,
            targets=world.others,
            prefix=f"others-{turn}",
            rate=options.rate,
        )
        stuck = Crowd(
            port=port,
            key=world.key,
            clients=options.stuck,
            targets=[world.stuck],
            prefix=f"stuck-{turn}",
            rate=20,
        )
        with _beside(stuck, waited), _locked(instance, world.stuck_pool, really=is_locked):
            log = run(crowd, seconds=LOCKED_SECONDS)
        series[is_locked].answers += log.answers
        series[is_locked].unanswered += log.unanswered
    free, held = series[False].percentile(0.99), series[True].percentile(0.99)
    failed = sum(1 for log in series.values() for one in log.answers if one.status not in (200, 201))
    slowest = max((one.seconds for one in waited.answers), default=0.0)
    print(
        f"\none row locked for {LOCKED_SECONDS:.0f} s, {options.turns} times, {options.stuck} clients waiting for it (longest {slowest:.1f} s): "
        f"p99 of other organizations {held:.1f} ms, without the lock {free:.1f} ms, ratio {held / free:.2f} "
        f"(at most {MOST_SLOWER}); {failed} of {sum(len(log.answers) for log in series.values()):,} of their requests failed"
    )
    return held / free if not failed else float("inf")


@contextmanager
def _locked(instance: Instance, pool: int, *, really: bool) -> Iterator[None]:
    """Hold the lock on a pool's row while the block runs."""
    address = f"host={instance.sockets} user=portal dbname=portal"
    with psycopg.connect(address) as connection:
        if really:
            connection.execute("SELECT 1 FROM credits_creditpool WHERE id = %s FOR NO KEY UPDATE", [pool])
        yield
        connection.rollback()


@contextmanager
def _beside(crowd: Crowd, log: Log) -> Iterator[None]:
    """Let another crowd send at the same time."""

    def send() -> None:
        log.answers += run(crowd, seconds=LOCKED_SECONDS).answers

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load ARGS=", description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="of one load (default: %(default)s)")
    parser.add_argument(
        "--credits", type=int, default=1000, help="to be spent in each load (default: %(default)s)"
    )
    parser.add_argument(
        "--clients", type=lambda text: [int(one) for one in text.split(",")], default=list(CLIENTS)
    )
    parser.add_argument(
        "--turns", type=int, default=5, help="with the row locked, and without (default: %(default)s)"
    )
    parser.add_argument(
        "--stuck", type=int, default=4, help="clients that ask for the locked row (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=150.0, help="requests a second of the others (default: %(default)s)"
    )
    parser.add_argument("--folder", default=str(FOLDER), help="of the database and logs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
