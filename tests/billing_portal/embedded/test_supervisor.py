"""`make run` as a person meets it, in a copy of the checkout, so that the portal of the checkout may run meanwhile."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from billing_portal.embedded.places import PROJECT, temporary_folder

CODE = ("billing_portal", "kit", "orgs", "credits", "lago_sync", "lago_sandbox", "templates", "static")
READY_WITHIN = 240.0  # seconds; patience with a busy machine, the quiet one needs a fifth of it
STOPS_WITHIN = 40.0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Iterator[Path]:
    """A copy of the checkout with nothing in var/."""
    copy = tmp_path_factory.mktemp("check out")
    for name in CODE:
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(PROJECT / "manage.py", copy)
    yield copy
    supervise(copy, "reset", FORCE="1").communicate(timeout=60)
    for folder in (copy, copy / "var"):
        shutil.rmtree(temporary_folder(folder), ignore_errors=True)


def supervise(checkout: Path, command: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "billing_portal.embedded", command],
        cwd=checkout,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    """A free port whose next one, the Lago sandbox's, is free too."""
    while True:
        with socket.socket() as line, socket.socket() as beside:
            line.bind(("127.0.0.1", 0))
            port = int(line.getsockname()[1])
            with suppress(OSError):
                beside.bind(("127.0.0.1", port + 1))
                return port


def read_until_ready(process: "subprocess.Popen[str]") -> str:
    said = ""
    until = time.monotonic() + READY_WITHIN
    assert process.stdout is not None
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, f"it ended: {said}"
        assert time.monotonic() < until, f"not ready: {said}"
        said += line
    return said


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def still_running(checkout: Path) -> list[str]:
    """The command lines of all processes at work in the copy."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(checkout):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_the_portal_starts_survives_a_kill_and_stops_without_a_trace(checkout):
    port = free_port()
    first = supervise(checkout, "run", PORT=str(port))
    said = read_until_ready(first)
    assert re.search(r"PostgreSQL and Valkey +\d+\.\d s", said), "each step says its seconds"
    assert f"http://127.0.0.1:{port}" in said
    assert status_of(f"http://127.0.0.1:{port}/readyz") == 200
    assert f"Lago sandbox: http://127.0.0.1:{port + 1}" in said
    assert status_of(f"http://127.0.0.1:{port + 1}/health") == 200
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    secret = (checkout / ".env").read_text()

    second = supervise(checkout, "run", PORT=str(free_port()))
    refusal, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    assert refusal.count("\n") == 1, "one line"
    assert f"process {first.pid} serves http://127.0.0.1:{port}" in refusal

    first.kill()
    first.communicate()
    assert any("gunicorn" in command for command in still_running(checkout)), (
        "a kill leaves its children behind"
    )

    third = supervise(checkout, "run", PORT=str(port))
    said = read_until_ready(third)
    assert "that an earlier run had left behind" in said
    assert status_of(f"http://127.0.0.1:{port}/healthz") == 200
    assert (checkout / ".env").read_text() == secret

    began = time.monotonic()
    third.send_signal(signal.SIGINT)
    last_words, _ = third.communicate(timeout=STOPS_WITHIN)
    assert third.returncode == 0
    assert "Stopped in" in last_words
    assert time.monotonic() - began < STOPS_WITHIN
    assert still_running(checkout) == []


def test_a_taken_port_is_one_line_with_another_port_to_try(checkout):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = supervise(checkout, "run", PORT=str(port))
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Use another one: make run PORT={port + 10}"
        in said
    )
    assert "Traceback" not in said


def test_without_debug_it_says_what_is_missing(checkout):
    process = supervise(checkout, "run", DEBUG="0")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert all(line.startswith("billing portal: ") for line in said.splitlines()), said


def test_the_demo_says_who_can_sign_in(capsys, monkeypatch, tmp_path):
    from billing_portal.embedded import farewell
    from billing_portal.embedded.places import Instance

    monkeypatch.setattr(farewell, "PORTAL", Instance(tmp_path))
    person = {"email": "owner@acme.example", "password": "demo-pass-2026", "sees": "everything of Acme"}
    curl = "curl http://127.0.0.1:8000/api/v1/me"
    (tmp_path / "demo.json").write_text(json.dumps({"sign_ins": [person], "curl": curl}))
    farewell.tell_how_to_use("http://127.0.0.1:8010", seconds=3.2)
    said = capsys.readouterr().out
    assert "owner@acme.example" in said
    assert "everything of Acme" in said
    assert "curl http://127.0.0.1:8010/api/v1/me" in said, "with the port in use"
