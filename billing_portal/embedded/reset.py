"""`make reset`: stops the portal of this folder and empties var/."""

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from billing_portal.embedded import children, folders, instance, processes
from billing_portal.embedded.places import PORTAL, PROJECT, temporary_folder
from billing_portal.embedded.trouble import Trouble

STOPS_WITHIN = 45.0  # seconds


def reset(*, force: bool) -> None:
    """Ask unless `force`, stop what runs, and remove everything in var/ but the folders of tests that run now."""
    if not force and not agreed():
        sys.exit("Nothing was changed. Without a question: make reset FORCE=1")
    if not PORTAL.folder.exists():
        return
    stop_supervisor()
    children.end_left_behind()
    with instance.starting(PORTAL):
        instance.stop(PORTAL)
        for entry in list(PORTAL.folder.iterdir()):
            if entry.name == "test":
                remove_ended_tests(entry)
            else:
                remove(entry)
    for folder in (temporary_folder(PORTAL.folder), temporary_folder(PROJECT)):
        shutil.rmtree(folder, ignore_errors=True)
    print("var/ is empty; `make run` starts with new data")


def agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Stop the portal and delete all its data in var/? [y/N] ").strip().lower() in {"y", "yes"}


def stop_supervisor() -> None:
    try:
        with instance.open_lock(PORTAL.folder / "run.lock") as lock:
            if instance.alone(lock):
                return
            pid = int(json.loads(lock.read() or b"{}").get("pid", 0))
    except ValueError:
        return
    if pid:
        os.kill(pid, signal.SIGTERM)
        if not processes.wait_for_end(pid, seconds=STOPS_WITHIN):
            raise Trouble(
                "The portal does not stop", why=f"process {pid} still runs", do=f"kill -9 {pid}, then again"
            )


def remove_ended_tests(tests: Path) -> None:
    for folder in tests.iterdir():
        pid = folder.name.partition("-")[0]
        if not pid.isdigit() or not processes.is_alive(int(pid)):
            remove(folder)
    with suppress(OSError):
        tests.rmdir()


def remove(entry: Path) -> None:
    try:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    except OSError as error:
        raise folders.unwritable(entry, error) from error
