"""`make soak`: a million steps of the machine, in several processes, each with a database of its own; goes on where it stopped.

`--minutes` bounds it, `--seed` repeats it, `--again` begins anew. What was done stands in var/soak/done.jsonl.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import psycopg

sys.path[0] = str(Path(__file__).resolve().parents[2])
sys.modules["tests"] = ModuleType("tests")  # the Lago client installs a package of this name
sys.modules["tests"].__path__ = [str(Path(__file__).resolve().parents[1])]

from billing_portal.embedded import instance as running  # noqa: E402 - after the path
from billing_portal.embedded.places import DATABASE, PORTAL, Instance  # noqa: E402

FOLDER: Final = PORTAL.folder / "soak"
DONE: Final = FOLDER / "done.jsonl"
STEPS_OF_A_STORY: Final = 50
STORIES_OF_A_CHAPTER: Final = 20
_STEPS: Final = STEPS_OF_A_STORY * STORIES_OF_A_CHAPTER
_say = partial(print, flush=True)


def main() -> int:
    """Run chapter after chapter until there are enough steps or the time is over; 1 where ledger and model differ."""
    options = _options()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.again:
        DONE.unlink(missing_ok=True)
    before = [json.loads(line) for line in DONE.read_text().splitlines()] if DONE.exists() else []
    seed = before[0]["seed"] if before and options.seed is None else options.seed
    seed = random.SystemRandom().randrange(10**9) if seed is None else seed
    done = [one for one in before if one["seed"] == seed]
    wanted = -(-options.steps // _STEPS)
    chapters = sorted(set(range(wanted)) - {one["chapter"] for one in done})
    _say(
        f"soak: seed {seed}, {wanted * _STEPS:,} steps, {len(done)} of {wanted} chapters done before",
        flush=True,
    )
    with _servers(options.processes) as names:
        done += _run(chapters, names, seed=seed, until=time.monotonic() + 60 * options.minutes)
    return _report(seed, done, wanted)


def _run(chapters: list[int], names: list[str], *, seed: int, until: float) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    databases = context.SimpleQueue()
    for name in names:
        databases.put(name)
    found: list[dict[str, Any]] = []
    with context.Pool(len(names), initializer=_begin, initargs=(databases,)) as pool, DONE.open("a") as file:
        told = [(seed, chapter, until) for chapter in chapters]
        for one in pool.imap_unordered(_live, told):
            if one is None:
                continue
            found.append(one)
            file.write(json.dumps(one) + "\n")
            file.flush()
            steps = sum(each["steps"] for each in found)
            _say(
                f"  chapter {one['chapter']}: {one['steps']:,} steps in {one['seconds']:.0f} s, {steps:,} in all",
            )
            if one["divergence"]:
                _say(one["divergence"])
    return found


def _report(seed: int, done: list[dict[str, Any]], wanted: int) -> int:
    steps = sum(one["steps"] for one in done)
    minutes = sum(one["seconds"] for one in done) / 60
    divergences = sum(1 for one in done if one["divergence"])
    kept = "" if len(done) >= wanted else f", {wanted - len(done)} chapters left (run it again)"
    _say(
        f"soak: seed {seed}, {steps:,} steps, {minutes:.1f} minutes of a core, {divergences} divergences{kept}"
    )
    return 1 if divergences else 0


def _begin(databases: "SimpleQueue[str]") -> None:
    """Become a worker with a database of its own, and with the organization that every story is about."""
    os.environ["TEST_DATABASE_URL"] = databases.get()
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from tests.stateful.machine import LedgerMachine
    from tests.stateful.world import World

    LedgerMachine.world = World()


def _live(told: tuple[int, int, float]) -> dict[str, Any] | None:
    """Live the stories of one chapter; None where the time is over."""
    seed, chapter, until = told
    if time.monotonic() > until:
        return None
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis import seed as seeded
    from hypothesis.stateful import run_state_machine_as_test

    from tests.stateful.machine import LedgerMachine

    machine: type[LedgerMachine] = type("Machine", (LedgerMachine,), {})
    seeded(seed * 1_000_003 + chapter)(machine)
    began, divergence = time.monotonic(), ""
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=STORIES_OF_A_CHAPTER,
                stateful_step_count=STEPS_OF_A_STORY,
                database=None,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    except Exception:  # noqa: BLE001 - a divergence, whatever it is: told with its story
        divergence = traceback.format_exc()
    seconds = time.monotonic() - began
    return {
        "seed": seed,
        "chapter": chapter,
        "steps": machine.steps,
        "seconds": round(seconds, 1),
        "divergence": divergence,
    }


@contextmanager
def _servers(processes: int) -> Iterator[list[str]]:
    """Run a PostgreSQL of our own, without fsync, with an empty database for each process; yields their addresses."""
    instance = Instance(FOLDER / "server", durable=False)
    lease = running.ensure_running(instance=instance)
    names = [f"{DATABASE}_soak_{number}" for number in range(processes)]
    try:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "billing_portal.settings.test",
            "TEST_REDIS_URL": instance.redis_url,
            "HYPOTHESIS_STORAGE_DIRECTORY": str(FOLDER / "hypothesis"),
        }
        with psycopg.connect(
            f"host={instance.sockets} user={DATABASE} dbname=postgres", autocommit=True
        ) as administration:
            for name in names:
                administration.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                administration.execute(f"CREATE DATABASE {name}")
        yield [instance.database_url.removesuffix(DATABASE) + name for name in names]
    finally:
        lease.release()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak ARGS=", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument(
        "--minutes", type=float, default=24 * 60.0, help="begin no chapter after this (default: a day)"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: %(default)s")
    parser.add_argument("--seed", type=int, help="default: that of the run to go on with, else a new one")
    parser.add_argument("--again", action="store_true", help="forget what was done before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
