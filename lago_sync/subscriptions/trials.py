"""The one trial of an organization and of each of its owners, ever (product.md §9): claimed before Lago is asked for it."""

from datetime import datetime, timedelta
from typing import Final

from kit import transactions
from kit.errors import Conflict
from lago_sync.models import LagoCustomer, LagoSubscription
from lago_sync.subscriptions import mirror
from orgs.models import Membership, Organization, User

LASTS: Final = timedelta(days=7)


class TrialUsed(Conflict):
    """The organization, or one of its owners, has had a trial."""

    def __init__(self) -> None:
        super().__init__("This organization or one of its owners has had its trial; it comes once.")


def was_had(*, organization: Organization) -> bool:
    """Tell whether a trial was had by the organization, or by another that one of its owners owns or owned."""
    role = Membership.Role.OWNER
    owners = Membership.objects.live().filter(organization=organization, role=role).values("user")
    theirs = Membership.objects.filter(user__in=owners, role=role).values("organization")
    trials = LagoSubscription.objects.filter(plan_code=mirror.TRIAL)
    claims = LagoCustomer.objects.filter(trial_claimed_at__isnull=False).exclude(organization=organization)
    return (
        trials.filter(organization=organization).exists()
        or trials.filter(organization__in=theirs).exists()
        or claims.filter(organization__in=theirs).exists()
    )


def claim(*, organization: Organization, now: datetime) -> None:
    """Note that the organization takes its trial; it may claim it again until it has it. Raises TrialUsed.

    Its owners' rows are locked, so that of two organizations of one owner that ask at once one gets it. Opens its own
    transaction: the claim stands before Lago is asked.
    """
    owners = Membership.objects.live().filter(organization=organization, role=Membership.Role.OWNER)
    with transactions.durable():
        list(User.objects.select_for_update(no_key=True).filter(pk__in=owners.values("user")).order_by("pk"))
        if was_had(organization=organization):
            raise TrialUsed
        LagoCustomer.objects.filter(organization=organization).update(trial_claimed_at=now)


def give_back(*, organization: Organization) -> None:
    """Forget a claim on which Lago started nothing. Opens its own transaction."""
    with transactions.durable():
        LagoCustomer.objects.filter(organization=organization).update(trial_claimed_at=None)
