"""Runs the sandbox: `python -m lago_sandbox --port 8001 --folder var/sandbox`.

One gunicorn process with threads on 127.0.0.1. SIGTERM ends it within seconds; SIGKILL loses nothing that was answered,
because every answer stands in SQLite and background work is rows there too.
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

TRUE = {"1", "true", "yes", "on"}
PR_SET_PDEATHSIG = 1


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our options instead of a configuration file."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from lago_sandbox.wsgi import application

        return application


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="lago_sandbox", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default 8001)")
    parser.add_argument("--folder", type=Path, default=Path("var/sandbox"), help="where sandbox.sqlite3 lies")
    given = parser.parse_args(arguments)
    if not _is_allowed():
        sys.exit(
            "lago_sandbox: refuses to start without DEBUG=1 (or LAGO_SANDBOX=1): it is an emulator, not Lago."
        )
    _prepare(given.port, given.folder)
    Server(
        {
            "bind": f"127.0.0.1:{given.port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": 12,
            "keepalive": 65,
            "timeout": 120,
            "graceful_timeout": 1,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108 - heartbeats only
            "control_socket_disable": True,
            "errorlog": "-",
            "loglevel": "warning",
            "post_fork": _die_with_parent,
            "post_worker_init": _start_background,
            "worker_exit": _stop_background,
            "when_ready": _say_ready,
        }
    ).run()


def _is_allowed() -> bool:
    return any(os.environ.get(name, "").lower() in TRUE for name in ("DEBUG", "LAGO_SANDBOX"))


def _prepare(port: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["LAGO_SANDBOX_FOLDER"] = str(folder.resolve())
    os.environ["LAGO_SANDBOX_URL"] = f"http://127.0.0.1:{port}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "lago_sandbox.settings"
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    connections.close_all()  # a connection must not be shared with the worker that is forked next


def _die_with_parent(_server: Any, _worker: Any) -> None:
    """Ask Linux to end the worker when its parent is killed, so that the port is free at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _start_background(_worker: Any) -> None:
    from lago_sandbox import background

    background.start()


def _stop_background(_server: Any, _worker: Any) -> None:
    from lago_sandbox import background

    background.stop()


def _say_ready(_server: Any) -> None:
    if file := os.environ.get("PORTAL_READY_FILE"):
        Path(file).write_text(f"{os.getpid()}\n")
    sys.stdout.write(f"Lago sandbox on {os.environ['LAGO_SANDBOX_URL']}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
