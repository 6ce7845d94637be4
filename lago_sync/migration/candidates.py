"""Who is to be migrated: user-based customers at Lago, as a list names them or as Lago lists them."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from credits import amounts
from kit.errors import ValidationError
from lago_sync.client import customers
from lago_sync.client.transport import Json

PREFIX: Final = "user_"
"""What the ids of user-based customers begin with; a list may name others."""
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("user", "user_id", "external_id", "user_email"),
    "org_id": ("org_id", "organization", "organization_id"),
    "name": ("name", "org_name"),
    "email": ("email", "org_email", "billing_email"),
    "credits": ("credits",),
}
"""The columns of a list, and what else they may be called; of these only the user is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A user-based customer and the organization that takes its place.

    Without an `org_id` that is the person's own one. What is empty is taken from Lago's customer. `credits` says how
    many credits the wallet stands for, where its worth in money does not.
    """

    external_id: str
    org_id: str = ""
    name: str = ""
    email: str = ""
    credits: Decimal | None = None


def listed(path: Path) -> list[Candidate]:
    """Return whom a mapping file (CSV or JSON) names, in its order, known at Lago or not.

    A user is named by Lago's id of the customer, by the user's id without the prefix, or by e-mail. Asks Lago.
    Raises ValidationError naming each line that cannot be read, OSError.
    """
    lines = read(path)
    addresses = _by_address() if any("@" in one["user"] for one in lines) else {}
    found, problems = [], {}
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_candidate(line, addresses))
        except ValueError as error:
            problems[f"line_{number}"] = str(error)
    _refuse_repeated(found, problems)
    if problems:
        raise ValidationError(**problems)
    return found


def discovered() -> list[Candidate]:
    """Return every customer at Lago whose id begins as those of users do, the oldest first. Asks Lago."""
    ids = [str(one["external_id"]) for one in customers.everyone()]
    return [Candidate(external_id=one) for one in reversed(ids) if one.startswith(PREFIX)]


def read(path: Path) -> list[dict[str, str]]:
    """Return the lines of a mapping file by our names of the columns. Raises ValidationError, OSError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = (
            list(_json_rows(text))
            if path.suffix.lower() == ".json"
            else list(csv.DictReader(io.StringIO(text)))
        )
    except (ValueError, csv.Error) as error:
        raise ValidationError(file=f"{path.name} cannot be read: {error}") from error
    return [_named(one) for one in rows]


def _json_rows(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of a list of objects, or of an object by user: of objects, or of ids of organizations."""
    found = json.loads(text)
    if isinstance(found, dict):
        for user, entry in found.items():
            yield {"user": user, **(entry if isinstance(entry, dict) else {"org_id": entry})}
        return
    for entry in found:
        if not isinstance(entry, dict):
            raise ValueError("a list of objects is expected")  # noqa: TRY004 - one kind of "unreadable"
        yield entry


def _named(row: Mapping[str, Any]) -> dict[str, str]:
    given = {str(name).strip().lower(): str(value or "").strip() for name, value in row.items() if name}
    return {
        ours: next((given[one] for one in spellings if given.get(one)), "")
        for ours, spellings in _COLUMNS.items()
    }


def _candidate(line: dict[str, str], addresses: Mapping[str, list[str]]) -> Candidate:
    if not line["user"]:
        raise ValueError("it names no user")
    return Candidate(
        external_id=_external_id(line["user"], addresses),
        org_id=line["org_id"],
        name=line["name"],
        email=line["email"],
        credits=amounts.parse(line["credits"]) if line["credits"] else None,
    )


def _external_id(user: str, addresses: Mapping[str, list[str]]) -> str:
    if "@" in user:
        found = addresses.get(user.lower(), [])
        if len(found) != 1:
            raise ValueError(f"{len(found)} user-based customers at Lago have the address {user}")
        return found[0]
    if user.startswith(PREFIX) or customers.get(user) is not None:
        return user
    return f"{PREFIX}{user}"


def _by_address() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in customers.everyone():
        if one.get("email") and not str(one["external_id"]).startswith("org_"):
            found.setdefault(str(one["email"]).lower(), []).append(str(one["external_id"]))
    return found


def _refuse_repeated(found: Iterable[Candidate], problems: dict[str, str]) -> None:
    seen = set[str]()
    for one in found:
        if one.external_id in seen:
            problems[one.external_id] = "it is named twice"
        seen.add(one.external_id)


def email_of(customer: Json, candidate: Candidate) -> str:
    """Return the address of who owns the organization; empty where neither the list nor Lago has one."""
    return (candidate.email or str(customer.get("email") or "")).strip().lower()


def name_of(customer: Json, candidate: Candidate) -> str:
    """Return what the organization is called: as listed, else as Lago calls the customer, else by its address."""
    at_lago = customer.get("name") or customer.get("legal_name") or ""
    return (candidate.name or str(at_lago) or email_of(customer, candidate).partition("@")[0])[:120].strip()
