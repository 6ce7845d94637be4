"""`python -m bench.scale`: how long single questions take on large data, and whether a hold notices how much there is.

One database gets 10,000 organizations (one of 5,000 members) and 5 million usage records, and answers the table. Then it
gets as many again, another one the same organizations with 10 thousand records, and both place holds in turns.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import machine
from bench.__main__ import free_port
from bench.scale_figures import Hold, Measure, show
from billing_portal.embedded.places import Instance

_PARTS: Final = ("table", "holds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print, write the JSON; 1 where a law was broken or a request failed. A missed target is only said."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    folder, port, begun = Path(options.folder), free_port(), time.monotonic()
    with machine.own_database(folder) as instance:
        machine.use(instance, port=port)
        import django

        django.setup()
        measures, holds, broken = _run(options, instance, folder, port)
        about = machine.describe() | {"minutes": f"{(time.monotonic() - begun) / 60:.1f}"}
    show(measures, holds, broken, about)
    file = Path(options.json) if options.json else folder / f"scale-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    found = {
        "machine": about,
        "measures": [one.as_json() for one in measures],
        "holds": [one.as_json() for one in holds],
        "violations": broken,
    }
    file.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{file}")
    return 1 if broken or any(one.failures for one in measures) else 0


def _run(
    options: argparse.Namespace, instance: Instance, folder: Path, port: int
) -> tuple[list[Measure], list[Hold], list[str]]:
    from bench import scale_holds, scale_measures, scale_world

    parts = options.only.split(",")
    scale_world.build(options.organizations, options.members, options.usage)
    measures, broken = [], []
    if "table" in parts:
        measures = scale_measures.run(n=options.n, port=port, folder=folder)
        broken = scale_world.prove()
    holds = scale_holds.run(options, instance) if "holds" in parts else []
    return measures, holds, broken


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--organizations", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument(
        "--members", type=int, default=10, help="of each but the first (default: %(default)s)"
    )
    parser.add_argument("--usage", type=int, default=5_000_000, help="usage records (default: %(default)s)")
    parser.add_argument(
        "--few", type=int, default=10_000, help="usage records of the small database (default: %(default)s)"
    )
    parser.add_argument("--n", type=int, default=400, help="repetitions (default: %(default)s)")
    parser.add_argument(
        "--turns", type=int, default=40, help="of 25 holds in each database (default: %(default)s)"
    )
    parser.add_argument("--only", default=",".join(_PARTS), help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="default: var/bench/scale-<time>.json")
    parser.add_argument("--folder", default=str(machine.FOLDER), help="of the database, logs and results")
    options = parser.parse_args(arguments)
    if unknown := {*options.only.split(",")} - {*_PARTS}:
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(_PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
