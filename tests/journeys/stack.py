"""The whole portal around a browser: pytest's live server is the web process, a real worker with beat does the jobs,
the sandbox is Lago, and its webhooks arrive at the live server."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from billing_portal.embedded.places import PROJECT
from billing_portal.settings import connections
from lago_sync.setup import installing
from lago_sync.subscriptions import catalogue
from tests.factories.broker import jobs_go_to
from tests.factories.lago import Sandbox

STARTS_WITHIN = 30.0  # seconds


@pytest.fixture
def portal(live_server: Any, lago: Sandbox, settings: Any, tmp_path: Path) -> Iterator[Sandbox]:
    """A portal that is set up at the sandbox and has a worker; gives the sandbox."""
    settings.SITE_URL = live_server.url
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    number = 33 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    broker = connections.redis(os.environ["TEST_REDIS_URL"], number=number)["broker"]
    installing.install(webhook_url=f"{live_server.url}/webhooks/lago", now=timezone.now())
    catalogue.refresh(now=timezone.now())
    with jobs_go_to(broker), worker(lago, number=number, folder=tmp_path):
        yield lago


@contextmanager
def worker(lago: Sandbox, *, number: int, folder: Path) -> Iterator[None]:
    """Run a Celery worker with beat on the test's database until the test is over."""
    ready, log = folder / "worker.ready", folder / "worker.log"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "worker_settings",
        "PYTHONPATH": str(Path(__file__).parent),
        "TEST_DATABASE_URL": urlsplit(os.environ["TEST_DATABASE_URL"])
        ._replace(path=f"/{connection.settings_dict['NAME']}")
        .geturl(),
        "JOURNEY_BROKER_NUMBER": str(number),
        "JOURNEY_LAGO_URL": lago.url,
        "PORTAL_READY_FILE": str(ready),
    }
    command = [
        "-m",
        "celery",
        "--app",
        "billing_portal.celery",
        "worker",
        "--beat",
        "--concurrency",
        "2",
        "--loglevel",
        "INFO",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command, "--schedule", str(folder / "beat")],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + STARTS_WITHIN
        while not ready.exists():
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
