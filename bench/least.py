"""The limit: least.sql by pgbench, straight into PostgreSQL, where the server's wheel brings that program along."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from bench.figures import Sample
from bench.spots import MEMBERS, World
from billing_portal.embedded import postgres
from billing_portal.embedded.places import DATABASE, Instance

_SCRIPT: Final = Path(__file__).with_name("least.sql")


def program() -> Path | None:
    """Return pgbench, None where it is missing."""
    found = postgres.wheel() / "bin" / "pgbench"
    return found if os.access(found, os.X_OK) else None


def run(instance: Instance, world: World, *, hot: bool, clients: int, seconds: float) -> Sample:
    """Let pgbench's clients run the statement for about as long as everybody else (whole seconds)."""
    duration = max(1, round(seconds))
    organizations, members = (1, 1) if hot else (world.organizations, MEMBERS)
    said = subprocess.run(
        [
            str(program()), "-n", "-M", "prepared", "-f", str(_SCRIPT),
            "-D", f"orgs={organizations}", "-D", f"members={members}",
            "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(duration),
            "-h", str(instance.sockets), "-U", DATABASE, DATABASE,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rate, latency = (
        re.search(pattern, said.stdout) for pattern in (r"tps = ([\d.]+)", r"average = ([\d.]+) ms")
    )
    if said.returncode or rate is None or latency is None:
        raise RuntimeError(f"pgbench failed: {said.stderr.strip()[-500:]}")
    charges = round(float(rate[1]) * duration)
    return Sample(seconds=duration, charges=charges, latencies=[float(latency[1]) / 1000])
