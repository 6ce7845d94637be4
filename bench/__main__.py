"""`python -m bench`: ours against the given opponents, in one run on one machine."""

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import machine
from bench.plan import PLACES, SCENARIOS, Wanted

_PORTS: Final = range(18200, 18300)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 1 where a law of the ledger was broken or a request failed."""
    options = _options(arguments)
    wanted, folder = _wanted(options), Path(options.folder)
    port = free_port()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    begun = time.monotonic()
    with machine.own_database(folder) as instance:
        machine.use(instance, port=port)
        import django

        django.setup()
        from bench import report, runs

        found = runs.run(wanted, instance=instance, port=port, folder=folder)
        about = machine.describe() | {
            "allocations": f"{10 * wanted.organizations:,}",
            "minutes": f"{(time.monotonic() - begun) / 60:.1f}",
        }
    report.show(found, about)
    file = Path(options.json) if options.json else folder / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"machine": about, **found.as_json()}, indent=2) + "\n")
    print(f"\n{file}")
    return 0 if found.is_sound else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn (default: %(default)s)")
    parser.add_argument(
        "--turns", type=int, default=2, help="of each side, alternating (default: %(default)s)"
    )
    parser.add_argument("--clients", default="1,16,64", help="numbers of clients (default: %(default)s)")
    parser.add_argument("--places", default=",".join(PLACES), help="default: %(default)s")
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios (default: %(default)s)")
    parser.add_argument("--organizations", type=int, default=100, help="of 10 members (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="default: var/bench/<time>.json")
    parser.add_argument("--folder", default=str(machine.FOLDER), help="of the database, logs and results")
    return parser.parse_args(arguments)


def _wanted(options: argparse.Namespace) -> Wanted:
    chosen = Wanted(
        scenarios=options.only.split(","),
        places=options.places.split(","),
        clients=[int(number) for number in options.clients.split(",")],
        seconds=options.seconds,
        turns=options.turns,
        organizations=options.organizations,
    )
    unknown = {*chosen.scenarios} - {*SCENARIOS} | {*chosen.places} - {*PLACES}
    if unknown:
        raise SystemExit(f"bench: {', '.join(sorted(unknown))} is none of {', '.join([*SCENARIOS, *PLACES])}")
    return chosen


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit(f"bench: no port between {_PORTS[0]} and {_PORTS[-1]} is free")


if __name__ == "__main__":
    sys.exit(main())
