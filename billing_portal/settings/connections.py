"""From the two URLs of the environment to what Django and Celery want to be told."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import environ

from billing_portal.settings.environment import WrongURL

# Of a session, in milliseconds. A request that runs into one of them answers 503 `try_again`.
LIMITS = {
    "lock_timeout": "2000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
    "plan_cache_mode": "force_generic_plan",  # the ledger's prepared statements take one JSON: its value tells planning nothing
    "jit": "off",  # planning by JIT costs more than our small queries take
}


def database(url: str, *, session: dict[str, str] | None = None) -> dict[str, Any]:
    """Return Django's description of the PostgreSQL at `url`, with the time limits every session gets.

    `session` adds settings to the session. Connections last as long as their thread and are looked after when a
    request first uses one.
    """
    found: dict[str, Any] = dict(environ.Env.db_url_config(url))
    given = found.get("OPTIONS", {})
    if found.get("ENGINE") != "django.db.backends.postgresql":
        raise WrongURL("postgres://user:password@host:5432/name is expected")
    if "portal." in str(given.get("options", "")):
        raise WrongURL("portal.* may be set by tests only, it moves the ledger's clock")
    options = [
        *(f"-c {name}={value}" for name, value in (LIMITS | (session or {})).items()),
        given.get("options", ""),
    ]
    # Django's default, None, makes psycopg ignore `prepare=True`, which the ledger's statements ask for; so high, nothing else is.
    found["OPTIONS"] = {
        "connect_timeout": 3,
        "application_name": "billing-portal",
        "prepare_threshold": 1_000_000,
    } | given
    found["OPTIONS"]["options"] = " ".join(options).strip()
    return found | {
        "HOST": unquote(str(found.get("HOST") or "")),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }


def lift_limits(database: dict[str, Any]) -> None:
    """Let statements take as long as they take; waiting for a lock stays limited, since requests queue behind it."""
    options = database.get("OPTIONS", {})
    options["options"] = (
        f"{options.get('options', '')} -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    )


def redis(url: str, *, number: int | None = None) -> dict[str, str]:
    """Return both spellings of one Redis: `cache` for Django (redis-py), `broker` for Celery (kombu).

    They differ for a unix socket: `unix:///path?db=1` against `redis+socket:///path?virtual_host=1`.
    `number` replaces the database number.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme in {"unix", "redis+socket"}:
        database_number = query.get("db") or query.get("virtual_host") or "0"
        chosen = database_number if number is None else str(number)
        return {
            "cache": f"unix://{parts.path}?db={chosen}",
            "broker": f"redis+socket://{parts.path}?virtual_host={chosen}",
        }
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise WrongURL("redis://host:6379/0, rediss://... or unix:///path?db=0 is expected")
    path = parts.path if number is None else f"/{number}"
    if parts.scheme == "rediss":
        query.setdefault(
            "ssl_cert_reqs", "required"
        )  # Celery refuses to guess, redis-py's default is the same
    spelled = parts._replace(path=path, query=urlencode(query)).geturl()
    return {"cache": spelled, "broker": spelled}
