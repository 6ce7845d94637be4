"""Credits that a system admin grants, as the API answers: granted at once, or waiting for another admin."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import uuid4

from credits import amounts
from credits.api.answers import instant
from credits.ledger import proposals
from credits.models import Grant, ProposedGrant
from kit.rest.schema import Shape
from orgs.audit.events import Actor
from orgs.models import Organization

GRANTED: Final = "granted"
PENDING: Final = "pending_approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantShape(Shape):
    id: Annotated[str, "of the grant, or of the proposal while it waits"]
    status: Annotated[str, "granted, or pending_approval: another system admin decides"]
    source: Annotated[str, "goodwill"]
    credits: str
    reason: str
    granted_by: Annotated[str, "public id of who granted or proposed"]
    expires_at: str | None
    created_at: str


def give(
    *, organization: Organization, credits: Decimal, reason: str, by: Actor
) -> tuple[int, dict[str, Any]]:
    """Grant credits as goodwill, or propose it above the threshold; returns the status and the grant as it is shown.

    Needs a transaction. Raises ValidationError for an amount that is not above zero.
    """
    made: Grant | ProposedGrant = proposals.propose(
        organization=organization,
        source=Grant.Source.GOODWILL,
        credits=credits,
        reference=uuid4().hex,
        reason=reason,
        by=by,
    )
    if isinstance(made, Grant):
        return 201, _shown(made, GRANTED, by=made.granted_by, at=instant(made.created_at))
    return 202, _shown(made, PENDING, by=made.proposed_by, at=instant(made.proposed_at))


def _shown(made: Grant | ProposedGrant, status: str, *, by: str, at: str) -> dict[str, Any]:
    return {
        "id": str(made.pk),
        "status": status,
        "source": made.source,
        "credits": amounts.text(made.credits),
        "reason": made.reason,
        "granted_by": by,
        "expires_at": instant(made.expires_at) if made.expires_at is not None else None,
        "created_at": at,
    }
