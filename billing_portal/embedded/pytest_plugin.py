"""A PostgreSQL and a Valkey of pytest's own, below var/test/, so that tests run beside `make run` and each other.

The controller makes a folder, starts both in it without fsync, and hands the addresses to its workers by environment.
TEST_DATABASE_URL and TEST_REDIS_URL, where they are set, name servers to use instead.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_portal.embedded import instance as running
from billing_portal.embedded import processes
from billing_portal.embedded.places import PORTAL, Instance, temporary_folder
from billing_portal.embedded.trouble import Trouble

FOLDER = PORTAL.folder / "test"
OWN = pytest.StashKey[Instance]()
LEASE = pytest.StashKey[running.Lease]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Choose the addresses before pytest-django reads the settings; nothing is started yet."""
    if "TEST_DATABASE_URL" not in os.environ:
        FOLDER.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=FOLDER))
        own = early_config.stash[OWN] = Instance(folder, durable=False)
        os.environ["TEST_DATABASE_URL"] = own.database_url
        os.environ["TEST_REDIS_URL"] = own.redis_url
    try:
        yield
    except BaseException:
        pytest_unconfigure(early_config)
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers, in the controller only and before xdist starts its workers."""
    own = session.config.stash.get(OWN, None)
    if own is None or session.config.option.collectonly:
        return
    remove_leftovers()
    try:
        session.config.stash[LEASE] = running.ensure_running(instance=own)
    except Trouble as trouble:
        pytest.exit(str(trouble), returncode=3)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers and take their folder away."""
    own = config.stash.get(OWN, None)
    if own is None:
        return
    lease = config.stash.get(LEASE, None)
    if lease is not None:
        lease.release()
    remove(own.folder)
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL"):
        os.environ.pop(name, None)


def remove_leftovers() -> None:
    """End and remove what a killed pytest left; its folder bears its process number."""
    for folder in FOLDER.iterdir():
        pid = folder.name.partition("-")[0]
        if not pid.isdigit() or processes.is_alive(int(pid)):
            continue
        with running.open_lock(folder / "in-use.lock") as share:
            if running.alone(share):
                running.stop(Instance(folder, durable=False))
                remove(folder)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(temporary_folder(folder), ignore_errors=True)
