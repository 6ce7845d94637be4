"""A PostgreSQL and a Valkey that may be killed, and lives that end at a chosen boundary (dying.py)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from billing_portal.embedded import instance as running
from billing_portal.embedded import postgres, valkey
from billing_portal.embedded.places import PROJECT, Instance, temporary_folder
from billing_portal.embedded.pytest_plugin import FOLDER
from tests.factories.lago import lago, lago_process  # noqa: F401 - fixtures

Victim = str
"""`process` (the one that acts), `postgres`, `valkey`, or both `servers` at once."""


@dataclass(frozen=True)
class Life:
    """What became of one process: where it was, whether it died, what its act returned, what it raised."""

    boundaries: list[str]
    died: bool
    answer: Any
    error: str


@dataclass
class Stage:
    """Runs acts in processes of their own, on servers of their own; `settings` hold in each of them."""

    own: Instance
    process: "subprocess.Popen[str]"
    settings: dict[str, Any] = field(default_factory=dict)

    def live(self, act: str, *, at: int = 0, kill: Victim = "process", **given: Any) -> Life:
        """Do `act` ("module:function") in a new process; something dies at boundary `at`, counted from 1. 0: nothing."""
        told = {"act": act, "given": given, "at": at, "settings": self.settings, "kill": self._killed(kill)}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        life = Life(**json.loads(self.process.stdout.readline()))
        running.start_missing(self.own, running.PARTS)
        return life

    def do(self, act: str, **given: Any) -> Any:
        """Do an act that must succeed, and return what it returns."""
        life = self.live(act, **given)
        assert not life.error, life.error
        return life.answer

    def _killed(self, kill: Victim) -> list[tuple[int, int]]:
        """Return who is killed how; SIGQUIT stops PostgreSQL at once, without a checkpoint."""
        servers = {"postgres": (postgres, signal.SIGQUIT), "valkey": (valkey, signal.SIGKILL)}
        chosen = servers.values() if kill == "servers" else [servers[kill]] if kill in servers else []
        return [(part.running_pid(self.own) or 0, by) for part, by in chosen]


@pytest.fixture(scope="session")
def _stage() -> Iterator[Stage]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    own = Instance(Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=FOLDER)), durable=False)
    lease = running.ensure_running(instance=own)
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        # What was acknowledged must outlive a killed server (the machine goes on, so its disk may lag behind).
        connection.execute("ALTER DATABASE portal SET synchronous_commit = on")
    environment = os.environ | {
        "TEST_DATABASE_URL": own.database_url,
        "TEST_REDIS_URL": own.redis_url,
        "DJANGO_SETTINGS_MODULE": "billing_portal.settings.test",
        "PYTHONPATH": str(PROJECT),
    }
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("dying.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=PROJECT,
    )
    stage = Stage(own, process)
    try:
        stage.do("django.core.management:call_command", command_name="migrate", verbosity=0)
        yield stage
    finally:
        process.kill()
        process.communicate()
        lease.release()
        shutil.rmtree(own.folder, ignore_errors=True)
        shutil.rmtree(temporary_folder(own.folder), ignore_errors=True)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """Return the stage, with nobody's settings."""
    _stage.settings = {}
    yield _stage
    _stage.settings = {}
