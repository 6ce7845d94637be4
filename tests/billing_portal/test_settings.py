"""One switch, DEBUG: what production must name, what development gets, and how mistakes are told."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.checks import run_checks
from kombu import Connection
from redis import Redis

from billing_portal.embedded import valkey
from billing_portal.embedded.places import PROJECT
from billing_portal.settings import connections
from billing_portal.settings.environment import Environment, WrongURL

LAGO = ("LAGO_API_URL", "LAGO_API_KEY", "LAGO_WEBHOOK_HMAC_KEY")
REQUIRED = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "SITE_URL", "EMAIL_URL", *LAGO)
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "a-key-with-more-than-fifty-characters-of-which-many-are-different-0123456789",
    "ALLOWED_HOSTS": "billing.example.com",
    "SITE_URL": "https://billing.example.com",
    "DATABASE_URL": "postgres://portal:secret@db.example.com/portal",
    "REDIS_URL": "redis://redis.example.com/0",
    "EMAIL_URL": "smtp://mail.example.com:25",
    "LAGO_API_URL": "https://lago.example.com",
    "LAGO_API_KEY": "a-key-of-lago",
    "LAGO_WEBHOOK_HMAC_KEY": "what-webhooks-are-signed-with",
}


def python(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in the checkout with this environment; names that `.env` may set are set to nothing."""
    cleared = dict.fromkeys((*PRODUCTION, "ENVIRONMENT"), "") | {"PATH": os.environ["PATH"]}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=cleared | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command", [["manage.py", "check"], ["-m", "gunicorn", "--config", "python:billing_portal.gunicorn", "x"]]
)
def test_without_debug_each_missing_name_stops_the_start_with_a_line_of_its_own(command):
    refused = python(*command, DEBUG="0")
    assert refused.returncode == 1
    lines = refused.stderr.strip().splitlines()
    assert len(lines) == len(REQUIRED)
    for name in REQUIRED:
        assert any(line.startswith(f"billing portal: {name} is not set") for line in lines), name


def test_a_value_that_cannot_be_read_is_told_by_its_name_and_never_with_the_password():
    broken = PRODUCTION | {
        "DATABASE_URL": "mysql://u:hunter2@h/d",
        "HOLD_TTL_SECONDS": "soon",
        "LOG_FORMAT": "xml",
    }
    refused = python("manage.py", "check", **broken)
    assert "DATABASE_URL: postgres://" in refused.stderr
    assert "HOLD_TTL_SECONDS is 'soon'" in refused.stderr
    assert "LOG_FORMAT is 'xml': one of json, console" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_list_of_networks_or_codes_that_cannot_be_read_stops_the_start():
    broken = PRODUCTION | {
        "LAGO_WEBHOOK_ALLOWED_IPS": "10.0.0.0/8,lago.internal",
        "LAGO_EVENT_CODES": '{"chat": 1}',
    }
    refused = python("manage.py", "check", **broken)
    assert "LAGO_WEBHOOK_ALLOWED_IPS has 'lago.internal'" in refused.stderr
    assert "LAGO_EVENT_CODES is no JSON object of texts" in refused.stderr


def test_webhooks_signed_with_a_public_key_need_no_key_of_ours():
    without = PRODUCTION | {"LAGO_WEBHOOK_HMAC_KEY": "", "LAGO_WEBHOOK_SIGNATURE_ALGORITHM": "jwt"}
    checked = python("manage.py", "check", **without)
    assert checked.returncode == 0, checked.stderr


def test_production_settings_pass_the_deployment_check():
    checked = python("-W", "error", "manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert checked.returncode == 0, checked.stderr


def test_a_secret_may_be_a_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    script = "from billing_portal.settings import base; print(base.SECRET_KEY)"
    read = python("-c", script, **(PRODUCTION | {"SECRET_KEY": "", "SECRET_KEY_FILE": str(secret)}))
    assert read.stdout == "from-a-file\n"

    missing = python("-c", script, **(PRODUCTION | {"SECRET_KEY_FILE": str(tmp_path / "none")}))
    assert "SECRET_KEY_FILE names" in missing.stderr
    assert "No such file" in missing.stderr


def test_with_debug_what_is_not_set_is_embedded_and_importing_starts_nothing():
    script = (
        "import sys; told = [];"
        "sys.addaudithook(lambda event, _: told.append(event) if event in {'subprocess.Popen', 'socket.connect'} else 0);"
        "from billing_portal.settings import base;"
        "print(base.EMBEDDED_PARTS, base.DATABASES['default']['NAME'], base.EMAIL_BACKEND, told)"
    )
    read = python("-c", script, DEBUG="1")
    assert (
        read.stdout == "['postgres', 'valkey'] portal django.core.mail.backends.filebased.EmailBackend []\n"
    ), read.stderr


def test_with_debug_what_is_set_is_used():
    script = "from billing_portal.settings import base; print(base.EMBEDDED_PARTS, base.DATABASES['default']['HOST'])"
    read = python("-c", script, DEBUG="1", DATABASE_URL=PRODUCTION["DATABASE_URL"])
    assert read.stdout == "['valkey'] db.example.com\n"


def test_with_debug_the_sandbox_beside_the_portal_stands_in_for_a_lago_but_not_for_the_key_of_a_real_one():
    script = "from billing_portal.settings import base as b; print(b.LAGO_IS_SANDBOX, b.LAGO_API_URL, bool(b.LAGO_API_KEY))"
    assert python("-c", script, DEBUG="1", PORT="8010").stdout == "True http://127.0.0.1:8011 True\n"
    real = python("-c", script, DEBUG="1", LAGO_API_URL=PRODUCTION["LAGO_API_URL"])
    assert real.stdout == "False https://lago.example.com False\n", real.stderr


def test_the_environment_wins_over_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("PORTAL_TEST_ONE=dotenv\nPORTAL_TEST_TWO=dotenv\n")
    monkeypatch.setenv("PORTAL_TEST_ONE", "environment")
    monkeypatch.setenv("PORTAL_TEST_TWO", "")
    monkeypatch.delenv("PORTAL_TEST_TWO")
    env = Environment(tmp_path / ".env")
    assert (env.text("PORTAL_TEST_ONE"), env.text("PORTAL_TEST_TWO")) == ("environment", "dotenv")
    monkeypatch.delenv("PORTAL_TEST_TWO", raising=False)


def test_sessions_of_the_database_have_time_limits_and_stay_open():
    found = connections.database("postgres://u:p%40ss@db.example.com:5433/portal?sslmode=require")
    options = found["OPTIONS"]["options"]
    for limit in ("lock_timeout=2000", "statement_timeout=5000", "idle_in_transaction_session_timeout=10000"):
        assert f"-c {limit}" in options
    assert (found["PASSWORD"], found["PORT"], found["OPTIONS"]["sslmode"]) == ("p@ss", 5433, "require")
    assert (found["CONN_MAX_AGE"], found["CONN_HEALTH_CHECKS"], found["ATOMIC_REQUESTS"]) == (
        None,
        True,
        False,
    )


def test_a_web_request_waits_a_few_seconds_for_lago_and_a_job_as_long_as_it_may():
    script = "from billing_portal.settings import base; print(base.LAGO_TIMEOUT_SECONDS)"
    assert python("-c", script, **PRODUCTION).stdout == "30\n"
    web = f"import billing_portal.gunicorn; {script}"
    assert python("-c", web, **PRODUCTION).stdout == "8\n"
    assert python("-c", web, LAGO_TIMEOUT_SECONDS="3", **PRODUCTION).stdout == "3\n"


def test_commands_may_take_longer_than_requests_but_not_wait_for_locks():
    script = (
        "from billing_portal.settings import base; print(base.DATABASES['default']['OPTIONS']['options'])"
    )
    options = python("-c", script, PORTAL_PROCESS="command", **PRODUCTION).stdout
    assert options.rindex("statement_timeout=0") > options.index("statement_timeout=5000"), (
        "the last one counts"
    )
    assert "lock_timeout=2000" in options
    assert "lock_timeout=0" not in options


@pytest.mark.parametrize(
    ("url", "cache", "broker"),
    [
        ("redis://h:6379/2", "redis://h:6379/2", "redis://h:6379/2"),
        ("unix:///run/v.sock?db=3", "unix:///run/v.sock?db=3", "redis+socket:///run/v.sock?virtual_host=3"),
        (
            "redis+socket:///run/v.sock?virtual_host=4",
            "unix:///run/v.sock?db=4",
            "redis+socket:///run/v.sock?virtual_host=4",
        ),
        (
            "rediss://:pw@h/0",
            "rediss://:pw@h/0?ssl_cert_reqs=required",
            "rediss://:pw@h/0?ssl_cert_reqs=required",
        ),
    ],
)
def test_one_redis_url_is_spelled_for_django_and_for_celery(url, cache, broker):
    assert connections.redis(url) == {"cache": cache, "broker": broker}


def test_a_socket_in_a_path_with_a_space_is_read_by_both_libraries(tmp_path):

    (tmp_path / "a folder").mkdir()
    listening = valkey_at(tmp_path / "a folder" / "v.sock")
    spelled = connections.redis(f"unix://{quote(str(tmp_path))}/a%20folder/v.sock?db=3")
    try:
        with Redis.from_url(spelled["cache"]) as cache, Connection(spelled["broker"]) as broker:
            cache.set("said", "by Django")
            channel: Any = broker.default_channel
            assert channel.client.get("said") == b"by Django", "both talk to database 3"
    finally:
        listening.terminate()
        listening.wait(timeout=10)


def valkey_at(path: Path) -> "subprocess.Popen[bytes]":
    """A Valkey that listens on `path`."""
    command = [
        str(valkey.program()),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--dir",
        str(path.parent),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return process


def test_neither_a_url_nor_the_settings_may_carry_what_only_tests_set(settings):
    with pytest.raises(WrongURL, match="by tests only"):
        connections.database("postgres://u@h/d?options=-c%20portal.testing%3Don")

    assert not [error for error in run_checks(tags=["security"]) if error.id == "portal.E001"]
    settings.TESTING = False
    assert [error.id for error in run_checks(tags=["security"]) if error.id == "portal.E001"] == [
        "portal.E001"
    ]


def test_the_example_names_every_setting_that_is_read():
    read = (PROJECT / "billing_portal" / "settings" / "base.py").read_text()
    example = (PROJECT / ".env.example").read_text()
    names = set(re.findall(r'env\.(?:text|words|flag|whole|choice|parsed)\(\s*"([A-Z_]+)"', read)) | {"DEBUG"}
    assert len(names) > 15
    assert [name for name in sorted(names) if f"{name}=" not in example] == []
