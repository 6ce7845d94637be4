"""`make run`: every part of the portal, each started after the one before answers, stopped in reverse."""

import fcntl
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from billing_portal.embedded import children, farewell, folders, instance, sandbox, watching
from billing_portal.embedded.children import Child
from billing_portal.embedded.places import PORTAL, PROJECT
from billing_portal.embedded.trouble import Trouble

STARTS_WITHIN = 60.0  # seconds, each child
PARTS_LOOKED_AFTER_EVERY = 5.0  # seconds
CRASHED_AT_ONCE = 5.0  # seconds: a child that ends sooner waits for changed code, or it would start for ever


class Interrupted(Exception):
    """Ctrl-C, SIGTERM, a closed terminal, or the `make` above us has gone."""


class Supervisor:
    """Starts, watches and stops the portal of this folder. Signals only set an event; every wait looks at it."""

    def __init__(self, *, port: int, parts: Iterable[str], with_sandbox: bool) -> None:
        self.port = port
        self.parts = list(parts)
        self.sandbox = lago_sandbox() if with_sandbox else None
        self.stopping = threading.Event()
        self.parent = os.getppid()
        self.children = [*([self.sandbox] if self.sandbox else []), *commands(port)]
        self.waiting_for_code: set[str] = set()
        self.lease: instance.Lease | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self) -> None:
        """Start everything, say how to use it, look after it, and stop it. Raises Trouble if it cannot start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())
        began = time.monotonic()
        with claim(self.url):
            end_left_behind()
            refuse_taken_port(self.port)
            if self.sandbox:
                refuse_taken_port(sandbox.port())
            try:
                self.start_all()
                farewell.tell_how_to_use(
                    self.url, seconds=time.monotonic() - began, lago=sandbox.url() if self.sandbox else ""
                )
                self.look_after()
            except Interrupted:
                pass
            finally:
                self.stop_all()

    # --- starting ---

    def start_all(self) -> None:
        self.step("PostgreSQL and Valkey", self.start_parts)
        self.step("Migrations", lambda: self.command("migrate", ["migrate", "--no-input"]))
        if self.sandbox:
            self.step_of(self.sandbox)
            self.step("Lago's set-up", lambda: self.command("setup_lago", ["setup_lago"]))
        self.step("Demo", lambda: self.command("demo", ["demo"]))
        for child in self.children:
            if child is not self.sandbox:
                self.step_of(child)

    def step_of(self, child: Child) -> None:
        self.step(child.name.capitalize(), lambda: self.start_child(child))

    def step(self, name: str, work: Callable[[], None]) -> None:
        self.refuse_when_stopping()
        began = time.monotonic()
        print(f"  {name:<24}", end="", flush=True)
        try:
            work()
        except BaseException:
            print("stopped" if self.stopping.is_set() else "failed", flush=True)
            raise
        print(f"{time.monotonic() - began:5.1f} s", flush=True)

    def start_parts(self) -> None:
        self.lease = instance.ensure_running(parts=self.parts)

    def command(self, name: str, arguments: list[str]) -> None:
        """Run one `manage.py` command to its end; its words go to its log."""
        log = PORTAL.logs / f"{name}.log"
        folders.make(log.parent)
        process = children.launch(["manage.py", *arguments], log=log, environment={})
        while process.poll() is None:
            if self.stopping.wait(0.05):
                process.terminate()
                process.wait()
                raise Interrupted
        if process.returncode:
            why = children.last_line(log)
            raise Trouble(
                f"`manage.py {name}` failed",
                why=why,
                do=f"Read var/log/{log.name}; `make reset` empties the data",
            )

    def start_child(self, child: Child) -> None:
        child.start()
        until = time.monotonic() + STARTS_WITHIN
        while not self.answers(child):
            if self.stopping.wait(0.05):
                raise Interrupted
            if not child.is_running() or time.monotonic() > until:
                raise Trouble(
                    f"The {child.name} does not start",
                    why=child.last_words(),
                    do=f"Read var/log/{child.log.name}",
                )

    def answers(self, child: Child) -> bool:
        if child.name != "web":
            return child.ready_file.exists()
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            raise Trouble(
                "The web server answers wrongly", why=f"/healthz is {error.code}", do="Read var/log/web.log"
            ) from error
        except OSError:
            return False

    # --- looking after ---

    def look_after(self) -> None:
        """Until asked to stop: reload what changed, restart what died."""
        last_look = time.monotonic()
        for changed in watching.changes(self.stopping):
            self.refuse_when_stopping()
            if changed:
                self.reload(changed)
            self.restart_dead()
            if time.monotonic() - last_look > PARTS_LOOKED_AFTER_EVERY:
                last_look = time.monotonic()
                self.restart_dead_parts()
        raise Interrupted

    def reload(self, changed: set[Path]) -> None:
        """Let gunicorn exchange its workers; start jobs anew, and everything that died of the code before."""
        names = ", ".join(sorted(str(path.relative_to(PROJECT)) for path in changed)[:3])
        say(f"Changed: {names}{' ...' if len(changed) > 3 else ''}; reloading")
        for child in self.children:
            if child.name in self.waiting_for_code:
                child.start()
            elif child.name == "web":
                child.send(signal.SIGHUP)
            elif any(path.suffix == ".py" for path in changed):
                child.send(signal.SIGTERM)
        self.waiting_for_code.clear()

    def restart_dead(self) -> None:
        for child in self.children:
            if child.is_running() or child.name in self.waiting_for_code:
                continue
            if time.monotonic() - child.started_at < CRASHED_AT_ONCE:
                say(
                    f"The {child.name} ended: {child.last_words()} (var/log/{child.log.name}); it starts again when code changes"
                )
                self.waiting_for_code.add(child.name)
            else:
                child.start()

    def restart_dead_parts(self) -> None:
        try:
            with instance.starting(PORTAL):
                for name in instance.start_missing(PORTAL, self.parts):
                    say(f"{name} had ended and was started again")
        except Trouble as trouble:
            say(str(trouble))

    def refuse_when_stopping(self) -> None:
        """Raise Interrupted if we are to stop, or if the `make` that started us was killed."""
        if self.stopping.is_set() or ("MAKELEVEL" in os.environ and os.getppid() != self.parent):
            raise Interrupted

    # --- stopping ---

    def stop_all(self) -> None:
        """Stop in reverse. Web and worker get 30 seconds, the rest little; nothing of ours survives."""
        began = time.monotonic()
        say("\nStopping ...")
        for child in reversed(self.children):
            child.send(signal.SIGTERM)
            wait_until(lambda child=child: not child.is_running(), seconds=2.0)  # type: ignore[misc]
        wait_until(
            lambda: not any(child.is_running() for child in self.children),
            seconds=28.0 - (time.monotonic() - began),
        )
        for child in self.children:
            child.kill()
            child.ready_file.unlink(missing_ok=True)
        children.end_left_behind(seconds=1.0)
        with instance.starting(PORTAL):
            instance.stop(PORTAL)
        say(f"Stopped in {time.monotonic() - began:.1f} s")


def lago_sandbox() -> Child:
    """Return the Lago that stands in for a real one; before the demo, which buys there, and stopped after the worker."""
    return Child(
        "sandbox",
        sandbox.command(),
        {"LAGO_SANDBOX_RETURN_URL": f"http://127.0.0.1:{sandbox.port() - 1}/billing/returned/"},
    )


def commands(port: int) -> list[Child]:
    """Return the long-running processes in the order of their start (the same lines as in Procfile)."""
    celery = ["-m", "celery", "--app", "billing_portal.celery"]
    return [
        Child("worker", [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO"]),
        Child(
            "beat",
            [
                *celery,
                "beat",
                "--schedule",
                str(PORTAL.folder / "beat"),
                "--pidfile",
                "",
                "--loglevel",
                "INFO",
            ],
        ),
        Child(
            "web",
            ["-m", "gunicorn", "--config", "python:billing_portal.gunicorn", "billing_portal.wsgi"],
            {"PORT": str(port)},
        ),
    ]


def claim(url: str) -> IO[bytes]:
    """Return the lock that makes this the only `make run` of the folder; Trouble if another one has it."""
    folders.make(PORTAL.logs)
    lock = instance.open_lock(PORTAL.folder / "run.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        running = json.loads(lock.read() or b"{}")
        why = f"process {running.get('pid', '?')} serves {running.get('url', 'it')}"
        do = f"Open that, or stop it: kill {running.get('pid', '<pid>')}"
        raise Trouble("The portal of this folder already runs", why=why, do=do) from error
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "url": url}).encode())
    lock.flush()
    return lock


def end_left_behind() -> None:
    found = children.end_left_behind()
    if found:
        say(f"Ended {found} processes that an earlier run had left behind")


def refuse_taken_port(port: int) -> None:
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            line.bind(("127.0.0.1", port))
        except OSError as error:
            do = f"Use another one: make run PORT={port + 10 if port > 1023 else 8000}"
            raise Trouble(
                f"Cannot listen on 127.0.0.1:{port}", why=error.strerror or str(error), do=do
            ) from error


def wait_until(done: Callable[[], Any], *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.05)


def say(text: str) -> None:
    print(text, flush=True)
