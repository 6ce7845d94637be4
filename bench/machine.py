"""Where the benchmark runs: an embedded PostgreSQL of its own, and what is said about the machine."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from billing_portal.embedded import instance as running
from billing_portal.embedded.places import DATABASE, PORTAL, PROJECT, Instance

FOLDER = PORTAL.folder / "bench"


@contextmanager
def own_database(folder: Path) -> Iterator[Instance]:
    """Run a durable PostgreSQL below `folder` with an empty database; afterwards it is stopped, its files stay."""
    instance = Instance(folder / "server", durable=True)
    lease = running.ensure_running(instance=instance)
    try:
        _empty(instance)
        yield instance
    finally:
        lease.release()


def use(instance: Instance, *, port: int) -> None:
    """Point this process and its children at the instance, as a production environment does."""
    os.environ.update(
        DEBUG="0",
        SECRET_KEY="only-for-the-benchmark-" + "x" * 40,
        ALLOWED_HOSTS="127.0.0.1",
        SITE_URL=f"http://127.0.0.1:{port}",
        DATABASE_URL=instance.database_url,
        REDIS_URL=instance.redis_url,
        EMAIL_URL="consolemail://",
        LOG_LEVEL="WARNING",
        LAGO_API_URL="http://127.0.0.1:9",  # the outbox is written and delivered to nobody
        LAGO_API_KEY="only-for-the-benchmark",
        LAGO_WEBHOOK_HMAC_KEY="only-for-the-benchmark",
        PORT=str(port),
        DJANGO_SETTINGS_MODULE="bench.settings",
    )


def describe() -> dict[str, str]:
    """Return what a reader must know of the machine to judge the figures."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "python": platform.python_version(),
        "postgresql": _server_version(),
        "commit": _commit(),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _empty(instance: Instance) -> None:
    """Make the database anew, so that no run measures the tables that an earlier one filled."""
    administration = f"host={instance.sockets} user={DATABASE} dbname=postgres"
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")


def _server_version() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') "
            "|| ', synchronous_commit ' || current_setting('synchronous_commit')"
        )
        return str(cursor.fetchone()[0])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or sys.platform
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    """Return the commit that was measured; `+` says that files differ from it."""
    named = _git("rev-parse", "--short", "HEAD")
    return f"{named}+" if named and _git("status", "--porcelain", "--untracked-files=no") else named or "?"


def _git(*words: str) -> str:
    try:
        said = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return said.stdout.strip()
