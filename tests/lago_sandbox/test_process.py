"""The process: where it answers, when it refuses, and that a kill -9 loses nothing that was answered."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from tests.factories.lago import ROOT, start_sandbox
from tests.lago_sandbox.shop import Shop


@pytest.fixture
def own(tmp_path):
    sandbox = start_sandbox(tmp_path, LAGO_SANDBOX_RETURN_URL="http://portal.example/back")
    yield sandbox
    sandbox.stop()
    sandbox.close()


def test_kill_9_loses_nothing_that_was_answered(own):
    shop = Shop(own)
    shop.customer()
    shop.metric("credits_used")
    made = shop.top_up(shop.wallet())
    answered, stop = [], threading.Event()

    def send():
        number = 0
        while not stop.is_set():
            number += 1
            try:
                answer = own.api(
                    "POST", "events", json={"event": {"transaction_id": f"t{number}", "code": "x"}}
                )
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return  # killed before or in the middle of an answer
            if answer.status_code == 200:
                answered.append(f"t{number}")

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    own.kill()
    stop.set()
    sender.join()
    own.start_again()
    assert len(answered) > 20
    assert set(answered) <= {one["transaction_id"] for one in own.dump()["event"]}
    own.drain()  # the work that the killed process left
    assert shop.transaction(made)["lago_invoice_id"] is not None


def test_what_was_moved_and_turned_is_there_after_a_restart(own):
    own.advance(86400)
    own.settings(psp=False)
    before = own.now()
    own.stop()
    own.start_again()
    assert own.now() >= before
    assert own.settings()["psp"] is False


def test_sigterm_ends_it_within_5_seconds_with_an_open_connection(own):
    own.api("GET", "organizations")  # keeps its connection open
    begun = time.monotonic()
    own.process.send_signal(signal.SIGTERM)
    own.process.wait(timeout=5)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("environment", [{}, {"DEBUG": "0"}])
def test_it_refuses_to_start_without_debug(tmp_path, environment):
    command = [sys.executable, "-m", "lago_sandbox", "--port", "1", "--folder", str(tmp_path / "box")]
    path = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(
        command, cwd=ROOT, env=path | environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "DEBUG=1" in ran.stderr
    assert not (tmp_path / "box").exists()


def test_the_ready_file_is_written_when_it_answers(tmp_path):
    ready = tmp_path / "ready"
    sandbox = start_sandbox(tmp_path / "box", PORTAL_READY_FILE=str(ready))
    assert int(ready.read_text()) == sandbox.process.pid
    sandbox.stop()
    sandbox.close()


def test_a_foreign_name_for_this_machine_is_refused(lago):
    for path in ("/", "/sandbox/dump", "/api/v1/organizations"):
        answer = requests.get(f"{lago.url}{path}", headers={"Host": "evil.example"}, timeout=5)
        assert answer.status_code == 400


def test_another_sites_page_cannot_turn_the_control_plane(lago):
    answer = requests.post(f"{lago.url}/sandbox/reset", headers={"Sec-Fetch-Site": "cross-site"}, timeout=5)
    assert answer.status_code == 403


def test_the_management_command_refuses_without_debug():
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match="DEBUG=1"):
        call_command("lago_sandbox", port=1)


def test_the_migrations_are_complete(tmp_path):
    command = [sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"]
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "lago_sandbox.settings"}
    environment["LAGO_SANDBOX_FOLDER"] = str(tmp_path)
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "No changes detected")
