"""A process that forks others, each of which does one act and dies, or kills a server, at a boundary of its choice.

Boundaries: before each HTTP request and after each answer, before and after each COMMIT, and before and after each
write that commits by itself. Told by one line of JSON a run,

    {"act": "tests.faults.buying:place", "given": {...}, "at": 3, "kill": [[4711, 9]], "settings": {...}}

it answers with one: the boundaries that were reached, whether the process died, what the act returned or raised. `at` 0
lets all survive; `kill` names processes and their signals, none is the process itself. Django is loaded once and forked,
so that a life costs milliseconds.
The patches stand here, in the process that dies, and nowhere in the portal.
"""

import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import django

# One of our test dependencies brings a package `tests` of its own, which would hide this folder.
tests = sys.modules["tests"] = ModuleType("tests")
tests.__path__ = [str(Path(__file__).parents[1])]
django.setup()

import requests  # noqa: E402 - Django must be up before what its apps import
from celery import current_app  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402
from django.db.backends.utils import CursorWrapper  # noqa: E402

from billing_portal.embedded import processes  # noqa: E402
from billing_portal.settings import connections  # noqa: E402
from tests.factories import credits, orgs  # noqa: E402

WRITES = ("INSERT", "UPDATE", "DELETE")


class Boundaries:
    """Counts the boundaries that an act passes, and strikes at the chosen one."""

    def __init__(self, told: dict[str, Any], pipe: int) -> None:
        self.at, self.pipe, self.passed = told.get("at", 0), pipe, 0
        self.victims: list[tuple[int, int]] = told.get("kill") or [(os.getpid(), signal.SIGKILL)]

    def reach(self, name: str) -> None:
        say(self.pipe, boundary=name)
        self.passed += 1
        if self.passed != self.at:
            return
        for victim, by in self.victims:
            os.kill(victim, by)
            if not processes.wait_for_end(victim, seconds=20):
                raise TimeoutError(f"process {victim} does not end")

    def around(self, name: str, act: Callable[[], Any]) -> Any:
        self.reach(f"before {name}")
        result = act()
        self.reach(f"after {name}")
        return result

    def watch(self) -> None:
        """Stand at every boundary of this process from now on."""
        send, commit, execute = requests.Session.send, BaseDatabaseWrapper._commit, CursorWrapper.execute  # type: ignore[attr-defined]

        def watched_send(session, request, **options):
            return self.around(
                f"{request.method} {request.path_url.partition('?')[0]}",
                lambda: send(session, request, **options),
            )

        def watched_commit(wrapper):
            return self.around("COMMIT", lambda: commit(wrapper))

        def watched_execute(cursor, sql, params=None):
            if cursor.db.in_atomic_block or not str(sql).lstrip().upper().startswith(WRITES):
                return execute(cursor, sql, params)
            return self.around("a write that commits itself", lambda: execute(cursor, sql, params))

        requests.Session.send, BaseDatabaseWrapper._commit = watched_send, watched_commit  # type: ignore[method-assign,assignment,attr-defined]
        CursorWrapper.execute = watched_execute  # type: ignore[method-assign]


def main() -> None:
    """Answer one line after another until there is no more."""
    current_app.conf.update(broker_url=connections.redis(os.environ["TEST_REDIS_URL"])["broker"])
    current_app.finalize()
    import_module("kombu.transport.redis")
    for number, line in enumerate(sys.stdin, start=1):
        print(json.dumps(live({"number": number, **json.loads(line)})), flush=True)  # noqa: T201 - how processes talk


def live(told: dict[str, Any]) -> dict[str, Any]:
    """Fork a process, let it act, and say what became of it."""
    import_module(told["act"].partition(":")[0])  # here, so that its children need not
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        act(told, writing)
    os.close(writing)
    with os.fdopen(reading) as heard:
        lines = [json.loads(line) for line in heard]
    _, status = os.waitpid(child, 0)
    found = {"died": os.WIFSIGNALED(status), "boundaries": [], "answer": None, "error": ""}
    for line in lines:
        if "boundary" in line:
            found["boundaries"].append(line["boundary"])  # type: ignore[attr-defined]
        found |= {name: line[name] for name in ("answer", "error") if name in line}
    return found


def act(told: dict[str, Any], pipe: int) -> None:
    """Do the act, in the process that was forked for it, and end."""
    for name, value in (told.get("settings") or {}).items():
        setattr(settings, name, value)
    for factory in (
        credits,
        orgs,
    ):  # a fork counts on from where its parent stood, so that names would come twice
        factory._numbers = itertools.count(told["number"] * 1000)  # type: ignore[attr-defined]
    module, _, name = told["act"].partition(":")
    try:
        verb = getattr(import_module(module), name)
        Boundaries(told, pipe).watch()
        say(pipe, answer=verb(**(told.get("given") or {})))
    except BaseException as error:  # noqa: BLE001 - told, whatever it is
        say(pipe, error="".join(traceback.format_exception(error)))
    finally:
        os._exit(0)


def say(pipe: int, **what: Any) -> None:
    os.write(pipe, (json.dumps(what) + "\n").encode())


if __name__ == "__main__":
    main()
