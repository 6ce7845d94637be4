"""Which kinds of notices a person wants by e-mail. The inbox shows all of them whatever is chosen here."""

from collections.abc import Collection

from kit import transactions
from orgs.models import User
from orgs.notices.kinds import FOR_SYSTEM_ADMINS, GROUPS, Kind
from orgs.notices.models import Preference


def offered(*, user: User) -> dict[str, list[Kind]]:
    """Return the kinds that a person may be told of, by the heading that they stand under."""
    found = {
        heading: [kind for kind in kinds if user.is_staff or kind not in FOR_SYSTEM_ADMINS]
        for heading, kinds in GROUPS.items()
    }
    return {heading: kinds for heading, kinds in found.items() if kinds}


def off(*, user: User) -> set[Kind]:
    """Return the kinds that a person switched off."""
    kept = Preference.objects.filter(user=user).values_list("kind", flat=True)
    return {Kind(kind) for kind in kept if kind in set(Kind)}


def switch_off(*, user: User, kinds: Collection[Kind]) -> None:
    """Send no mail of these kinds from now on, of all others again; mails that wait are looked at when they are sent."""
    transactions.require()
    Preference.objects.filter(user=user).exclude(kind__in=kinds).delete()
    wanted_off = [Preference(user=user, kind=kind) for kind in sorted(set(kinds))]
    Preference.objects.bulk_create(wanted_off, ignore_conflicts=True)
