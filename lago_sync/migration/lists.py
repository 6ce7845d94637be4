"""A list of organizations to be provisioned: read and judged whole, before anything is made."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError as InvalidEmail
from django.core.validators import validate_email

from credits import amounts
from kit.errors import NotFound, ValidationError
from lago_sync.client import catalogue
from lago_sync.client.transport import Json
from lago_sync.models import Provision
from lago_sync.setup import charges
from orgs import names, organizations
from orgs.models import Organization
from orgs.subscriptions import plan_named

NEEDED: Final = ("name", "owner_email")
COLUMNS: Final = (
    *NEEDED,
    "owner_name",
    "billing_email",
    "plan",
    "credits",
    "org_id",
    "time_zone",
    "currency",
)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One organization of a list, as it says; what is empty is left to the portal."""

    number: int
    name: str
    owner_email: str
    owner_name: str = ""
    billing_email: str = ""
    plan: str = ""
    credits: str = ""
    org_id: str = ""
    time_zone: str = ""
    currency: str = ""

    @property
    def key(self) -> str:
        """What makes a second run of the list find it: the id that it gives, else its name and its owner."""
        if self.org_id:
            return self.org_id
        said = f"{self.name.casefold()}\n{self.owner_email.lower()}"
        return f"{self.name[:100]} {hashlib.sha256(said.encode()).hexdigest()[:24]}"

    @property
    def amount(self) -> Decimal:
        """The first credits; 0 where there are none."""
        return amounts.parse(self.credits) if self.credits else amounts.ZERO

    def plain(self) -> dict[str, str]:
        """Return what is kept of it."""
        return {name: value for name, value in asdict(self).items() if name != "number" and value}


def read(path: Path) -> list[Line]:
    """Return the lines of a list (CSV). Raises ValidationError for what is no such list, OSError."""
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), restval="", restkey="more")
        columns = [str(one).strip().lower() for one in rows.fieldnames or []]
        rows.fieldnames = columns
        _refuse_columns(columns)
        return [_line(number, row) for number, row in enumerate(rows, start=2) if any(row.values())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValidationError(file=f"{path.name} cannot be read: {error}") from error


def problems(lines: Sequence[Line]) -> dict[int, list[str]]:
    """Return, by number of the line, all that keeps a list from being provisioned; empty where nothing does.

    Asks Lago for the plans that it names, once each. Raises LagoUnavailable, LagoRefused.
    """
    plans = {code: catalogue.plan(_plan_code(code)) for code in {one.plan for one in lines if one.plan}}
    known = {one.name_key: one for one in Provision.objects.filter(name_key__in=[one.key for one in lines])}
    keys = [one.key for one in lines]
    found = {
        one.number: [
            *_of_fields(one),
            *_of_plan(one, plans.get(one.plan)),
            *_of_earlier(one, known.get(one.key)),
            *(["It is in the list twice."] if keys.count(one.key) > 1 else []),
        ]
        for one in lines
    }
    return {number: said for number, said in found.items() if said}


def _refuse_columns(columns: Sequence[str]) -> None:
    unknown, missing = sorted(set(columns) - set(COLUMNS)), [one for one in NEEDED if one not in columns]
    if unknown or missing:
        raise ValidationError(
            columns=f"{', '.join(missing) or 'none'} missing, {', '.join(unknown) or 'none'} unknown; known are {', '.join(COLUMNS)}."
        )


def _line(number: int, row: Mapping[str, str]) -> Line:
    if "more" in row:
        raise ValidationError(**{f"line_{number}": "It has more cells than columns."})
    return Line(number=number, **{name: str(row.get(name) or "").strip() for name in COLUMNS})


def _of_fields(line: Line) -> Iterator[str]:
    try:
        names.cleaned(line.name)
        names.cleaned(line.owner_name, field="owner_name", longest=150, may_be_empty=True)
        if line.org_id:
            organizations.checked_id(line.org_id)
    except ValidationError as error:
        yield error.message
    for field in ("owner_email", "billing_email"):
        address = getattr(line, field)
        if (address or field == "owner_email") and not _is_address(address):
            yield f"{field}: {address or 'nothing'} is no e-mail address."
    if line.time_zone and line.time_zone not in _time_zones():
        yield f"time_zone: {line.time_zone} is no name of the IANA time zone database."
    if line.currency and not _CURRENCY.fullmatch(line.currency):
        yield f"currency: {line.currency} is no currency."
    yield from _of_credits(line)


def _of_credits(line: Line) -> Iterator[str]:
    try:
        if line.credits and not line.amount:
            yield "credits: more than 0 are expected, or nothing."
    except ValueError as error:
        yield f"credits: {error}"


def _of_plan(line: Line, plan: Json | None) -> Iterator[str]:
    if not line.plan:
        return
    try:
        is_ours = plan_named(line.plan).code != "none"
    except NotFound:
        is_ours = False
    currency = line.currency or settings.DEFAULT_CURRENCY
    if plan is None or not is_ours:
        yield f"plan: there is no plan {line.plan}."
        return
    if plan["amount_currency"] != currency:
        yield f"plan: {line.plan} has no price in {currency}."
    for problem in charges.problems(plan):
        if problem.stops_purchases:
            yield f"plan: {problem.what}. {problem.do}"


def _of_earlier(line: Line, known: Provision | None) -> Iterator[str]:
    if known is None:
        if line.org_id and Organization.objects.filter(public_id=line.org_id).exists():
            yield f"org_id: there is an organization {line.org_id}, which no list made."
    elif known.line != line.plain():
        changed = sorted(name for name in COLUMNS if known.line.get(name, "") != getattr(line, name))
        yield f"An earlier run had other values for it: {', '.join(changed)}."


def _plan_code(code: str) -> str:
    """Return Lago's code of a plan that may be named with its period."""
    return code.removesuffix("_monthly").replace("_annual", "_yearly")


def _is_address(value: str) -> bool:
    try:
        validate_email(value)
    except InvalidEmail:
        return False
    return len(value) <= 254


@cache
def _time_zones() -> set[str]:
    return available_timezones()
