"""The embedded servers, started for real in a folder of the test's own."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from billing_portal.embedded import instance as running
from billing_portal.embedded import postgres, processes, valkey
from billing_portal.embedded.places import PROJECT, Instance, is_root, temporary_folder
from billing_portal.embedded.trouble import Trouble

HOLD_A_SHARE = """
import sys, time
from pathlib import Path
from billing_portal.embedded import ensure_running
from billing_portal.embedded.places import Instance
lease = ensure_running(instance=Instance(Path(sys.argv[1]), durable=False))
print("held", flush=True)
sys.stdin.read()
lease.release()
"""


@pytest.fixture
def servers(tmp_path):
    """An instance that is not running, ended and removed afterwards whatever the test did to it."""
    own = Instance(tmp_path / "var", durable=False)
    yield own
    running.stop(own)
    shutil.rmtree(own.sockets, ignore_errors=True)


def holder(own: Instance, *, wait: bool = True) -> "subprocess.Popen[str]":
    """A process that holds a share until it is let go."""
    command = [sys.executable, "-c", HOLD_A_SHARE, str(own.folder)]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if wait:
        wait_for_share(process)
    return process


def wait_for_share(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"


def let_go(process: "subprocess.Popen[str]") -> None:
    process.communicate("", timeout=30)


def query(own: Instance, sql: str) -> str:
    import psycopg

    with psycopg.connect(
        host=str(own.sockets), user="portal", dbname="portal", autocommit=True
    ) as connection:
        cursor = connection.execute(sql.encode())
        row = cursor.fetchone() if sql.startswith("SELECT") else None
    return str(row[0]) if row else ""


def test_both_servers_answer_and_end_with_the_last_of_their_users(servers):
    first, second = holder(servers), holder(servers)
    assert query(servers, "SELECT current_setting('max_connections')") == "300"
    assert valkey.answers(servers)

    let_go(first)
    assert postgres.answers(servers), "somebody still uses it"
    let_go(second)
    assert not postgres.answers(servers)
    assert not valkey.answers(servers)


def test_data_survive_a_stop_and_a_start(servers):
    running.ensure_running(instance=servers).release()
    lease = running.ensure_running(instance=servers)
    query(servers, "CREATE TABLE kept (value int)")
    query(servers, "INSERT INTO kept VALUES (42)")
    lease.release()

    lease = running.ensure_running(instance=servers)
    assert query(servers, "SELECT value FROM kept") == "42"
    lease.release()


def test_servers_killed_without_warning_come_back_with_what_was_committed(servers):
    process = holder(servers)
    query(servers, "CREATE TABLE kept AS SELECT 1 AS value")
    query(servers, "CHECKPOINT")  # a test instance does not fsync, the kernel still has what was written
    for pid in (postgres.running_pid(servers), valkey.running_pid(servers)):
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert processes.wait_for_end(pid, seconds=5)
    assert (servers.postgres_data / "postmaster.pid").exists(), "that is what a kill leaves behind"

    again = running.ensure_running(instance=servers)
    try:
        assert query(servers, "SELECT value FROM kept") == "1"
        assert valkey.answers(servers)
    finally:
        again.release()
        let_go(process)


def test_a_user_killed_without_warning_gives_its_share_back(servers):
    process = holder(servers)
    process.kill()
    process.communicate()
    running.ensure_running(instance=servers).release()
    assert not postgres.answers(servers)


def test_a_pid_file_that_names_somebody_else_is_not_believed(servers):
    running.ensure_running(instance=servers).release()
    somebody = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (servers.postgres_data / "postmaster.pid").write_text(f"{somebody.pid}\n{servers.postgres_data}\n")
    (servers.valkey_data / "valkey.pid").write_text(f"{somebody.pid}\n")

    running.ensure_running(instance=servers).release()
    assert somebody.poll() is None, "the process whose number it was lives on"
    somebody.communicate(b"\n")


def test_a_cluster_half_made_is_made_anew(servers):
    half = servers.folder / "postgres.half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    running.ensure_running(instance=servers).release()
    assert not half.exists()


def test_a_queue_file_that_valkey_cannot_read_is_put_aside(servers):
    durable = Instance(servers.folder)
    running.ensure_running(instance=durable).release()
    for file in (durable.valkey_data / "appendonlydir").glob("*.manifest"):
        file.write_text("not a manifest")

    running.ensure_running(instance=durable).release()
    assert list(durable.valkey_data.glob("unreadable-*"))


def test_many_who_start_at_once_start_one_server(servers):
    crowd = [holder(servers, wait=False) for _ in range(6)]
    for one in crowd:
        wait_for_share(one)
    assert (servers.logs / "postgres.log").read_text().count("starting PostgreSQL") == 1
    for one in crowd:
        let_go(one)
    assert not postgres.answers(servers)


def test_a_path_too_long_for_a_socket_gets_a_private_folder_elsewhere(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    own = Instance(deep / "var", durable=False)
    lease = running.ensure_running(instance=own)
    assert own.sockets == temporary_folder(own.folder)
    assert stat.S_IMODE(own.sockets.stat().st_mode) == 0o700
    assert query(own, "SELECT 1") == "1"
    lease.release()
    assert not own.sockets.exists()


def test_a_path_with_a_space_a_quote_and_a_comma_works(tmp_path):
    own = Instance(tmp_path / 'the portal\'s, "own"' / "var", durable=False)
    lease = running.ensure_running(instance=own)
    assert query(own, "SELECT 1") == "1"
    assert valkey.answers(own)
    lease.release()


@pytest.mark.skipif(not is_root(), reason="only root may enter a folder that is closed to the server's user")
def test_under_root_a_folder_closed_to_the_server_keeps_its_mode(tmp_path):
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    own = Instance(closed / "var", durable=False)
    lease = running.ensure_running(instance=own)
    assert query(own, "SELECT 1") == "1"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert own.postgres_data.stat().st_uid != 0
    lease.release()


def test_a_folder_that_somebody_else_made_in_tmp_is_refused(servers):
    stranger = temporary_folder(servers.folder)
    stranger.symlink_to(servers.folder)
    try:
        with pytest.raises(Trouble, match="not a folder of user"):
            postgres.folders.make_private(stranger, for_postgres=True)
    finally:
        stranger.unlink()


def test_data_of_another_postgresql_are_told_apart(servers):
    running.ensure_running(instance=servers).release()
    (servers.postgres_data / "PG_VERSION").write_text("15\n")
    with pytest.raises(Trouble, match=r"written by PostgreSQL 15, this is 18.*make reset"):
        running.ensure_running(instance=servers)
    assert not valkey.answers(servers), "what was started before the trouble is not left running"


def test_a_socket_file_that_nobody_listens_on_is_not_an_answer(servers):
    servers.sockets.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(servers.valkey_socket))
    began = time.monotonic()
    assert not valkey.answers(servers)
    assert not postgres.answers(servers)
    assert time.monotonic() - began < 3
    assert isinstance(servers.valkey_socket, Path)
    servers.valkey_socket.unlink()
