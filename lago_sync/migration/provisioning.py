"""Organizations made from a list, each with its owner, plan and first credits; a row a line makes a second run find them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from credits import amounts
from credits.ledger import proposals
from kit import transactions
from kit.errors import DomainError
from lago_sync.migration import accounts
from lago_sync.migration.lists import Line
from lago_sync.migration.runs import Progress
from lago_sync.models import Provision
from lago_sync.subscriptions import plans
from orgs import organizations
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization, User

COLUMNS: Final = ("line", "name", "org_id", "owner", "plan", "credits", "status", "error")
_DONE: Final = "credits"


def outline(*, lines: Sequence[Line], problems: Mapping[int, Sequence[str]]) -> list[dict[str, Any]]:
    """Return what would be made of each line, and what is wrong with it; writes nothing."""
    known = {one.name_key: one for one in Provision.objects.filter(name_key__in=[one.key for one in lines])}
    owners = set(
        User.objects.filter(email__in=[one.owner_email.lower() for one in lines]).values_list(
            "email", flat=True
        )
    )
    found = []
    for one in lines:
        earlier, said = known.get(one.key), problems.get(one.number, ())
        status = "was made before" if earlier is not None and earlier.ended_at else "would be made"
        row = _row(one, earlier.organization if earlier is not None else None)
        row["owner"] = one.owner_email + ("" if one.owner_email.lower() in owners else " (new)")
        found.append(row | {"status": "refused" if said else status, "error": " ".join(said)})
    return found


def execute(*, lines: Sequence[Line], by: Actor, now: datetime, progress: Progress) -> list[dict[str, Any]]:
    """Provision each line, and return what became of it; one that fails stops no other. Asks Lago for those with a plan."""
    found = []
    for number, one in enumerate(lines, start=1):
        found.append(_provision(one, by, now))
        progress(number, len(lines))
    return found


def _provision(line: Line, by: Actor, now: datetime) -> dict[str, Any]:
    """Do what is left of a line; done before, it says so."""
    row = _begin(line, by)
    if row.ended_at is not None:
        return _row(line, row.organization) | {"status": "was made before"}
    said = ""
    try:
        for name, act in _STEPS:
            if not _is_done(row, name):
                said = act(row, line, by, now) or said
                _note(row, name)
        _finish(row, line, by, now)
    except DomainError as error:
        _fail(row, error.message)
        return _row(line, row.organization) | {"status": "failed", "error": error.message}
    except (KeyError, TypeError, AttributeError) as error:
        _fail(row, f"Lago answers something of another shape: {error!r}")
        return _row(line, row.organization) | {"status": "failed", "error": row.last_error}
    return _row(line, row.organization) | {"status": "made", "error": said}


def _begin(line: Line, by: Actor) -> Provision:
    with transactions.durable():
        Provision.objects.bulk_create(
            [Provision(name_key=line.key, line=line.plain(), made_by=by.public_id)], ignore_conflicts=True
        )
        return Provision.objects.select_related("organization").get(name_key=line.key)


def _make(row: Provision, line: Line, by: Actor, _now: datetime) -> str:
    """Make the organization with its owner, once: the row is locked, and whoever comes second finds it made."""
    with transactions.durable():
        locked = Provision.objects.select_for_update(no_key=True).get(pk=row.pk)
        if locked.organization_id is None:
            owner = accounts.owner_at(email=line.owner_email, name=line.owner_name, by=by)
            made = organizations.create(
                name=line.name,
                owner=owner,
                by=by,
                time_zone=line.time_zone or "UTC",
                public_id=line.org_id,
                currency=line.currency,
            )
            billing = {"billing_email": line.billing_email or line.owner_email}
            locked.organization = organizations.update(organization=made, changes=billing, by=by)
            locked.save(update_fields=["organization"])
    row.organization = locked.organization
    return ""


def _subscribe(row: Provision, line: Line, by: Actor, now: datetime) -> str:
    """Start the plan; one that an earlier try started is this one, since the organization is of this line."""
    if line.plan and row.organization is not None:
        try:
            plans.subscribe(organization=row.organization, plan_code=line.plan, by=by, now=now)
        except plans.SubscriptionExists:
            return ""
    return ""


def _grant(row: Provision, line: Line, by: Actor, _now: datetime) -> str:
    """Grant the first credits as staff do: above the threshold a system admin must approve them."""
    if not line.amount or row.organization is None:
        return ""
    with transactions.durable():
        made = proposals.propose(
            organization=row.organization,
            source="goodwill",
            credits=line.amount,
            reference=f"provision {row.pk}",
            reason="First credits",
            by=by,
        )
    return (
        "The credits wait for a system admin's approval." if getattr(made, "status", "") == "pending" else ""
    )


_Step = Callable[[Provision, Line, Actor, datetime], str]
_STEPS: Final[tuple[tuple[str, _Step], ...]] = (
    ("organization", _make),
    ("plan", _subscribe),
    (_DONE, _grant),
)


def _is_done(row: Provision, name: str) -> bool:
    names = [one for one, _ in _STEPS]
    return row.step in names and names.index(name) <= names.index(row.step)


def _note(row: Provision, step: str) -> None:
    row.step, row.last_error = step, ""
    with transactions.durable():
        row.save(update_fields=["step", "last_error"])


def _finish(row: Provision, line: Line, by: Actor, now: datetime) -> None:
    row.ended_at = now
    with transactions.durable():
        row.save(update_fields=["ended_at"])
        if row.organization is not None:
            events.record(
                organization=row.organization.public_id,
                by=by,
                action="organization.provisioned",
                target=row.organization.public_id,
                after=line.plain(),
            )


def _fail(row: Provision, why: str) -> None:
    row.last_error = why[:500]
    with transactions.durable():
        row.save(update_fields=["last_error"])


def _row(line: Line, organization: Organization | None) -> dict[str, Any]:
    return {
        "line": line.number,
        "name": line.name,
        "org_id": organization.public_id if organization is not None else line.org_id,
        "owner": line.owner_email,
        "plan": line.plan,
        "credits": amounts.text(line.amount) if _is_amount(line.credits) else line.credits,
        "status": "",
        "error": "",
    }


def _is_amount(text: str) -> bool:
    try:
        amounts.parse(text)
    except ValueError:
        return False
    return True
