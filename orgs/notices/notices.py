"""Telling people something, once: `once` is what every cause of a notice calls. Reading them is `inbox`, mailing `mails`."""

from collections.abc import Collection, Sequence
from typing import Final

from django.utils import timezone

from kit import transactions
from orgs.models import Organization, User
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice, Preference

_LONGEST_TITLE: Final = 200
_LONGEST_LINE: Final = 1000
_LONGEST_PATH: Final = 300


def once(  # noqa: PLR0913 - the facts of one row
    *,
    kind: Kind,
    subject: str,
    crossing: str,
    to: Collection[User],
    organization: Organization | None,
    title: str,
    lines: Sequence[str],
    action: str = "",
    path: str = "",
    level: str = "info",
    attachment: str = "",
) -> int:
    """Tell people, each at most once per kind, subject and crossing; returns how many of them had not been told.

    `subject` is what it is about, a public id; `crossing` the occasion: a date, a crossing's id, a reference. `lines`
    are sentences, `action` the words of the link to `path`, an address within the portal ("/orgs/…"), which loses its
    query where that is too long. `attachment` is handed to `signals.mail_composed`. Service members and people who may
    not sign in are left out. Call it before `events.record`, whose lock is the last one of a transaction.
    """
    transactions.require()
    if path and (not path.startswith("/") or path.startswith("//")):
        raise ValueError(f"a notice links to an address within the portal, not to {path!r}")
    told = {user.pk: user for user in to if user.is_active and not user.is_service}
    silent = set(Preference.objects.filter(user__in=told, kind=kind).values_list("user_id", flat=True))
    at = timezone.now()
    rows = [
        Notice(
            user_id=key,
            organization=organization,
            kind=kind,
            subject=subject,
            crossing=crossing,
            level=Notice.Level(level),
            title=_short(title, _LONGEST_TITLE),
            lines=[_short(line, _LONGEST_LINE) for line in lines],
            action=action,
            path=path if len(path) <= _LONGEST_PATH else path.partition("?")[0],
            attachment=attachment,
            created_at=at,
            mail=Notice.Mail.OFF if key in silent else Notice.Mail.PENDING,
            mail_due_at=at,
        )
        for key in sorted(told)  # two that tell the same people wait for each other in one order
    ]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
    return Notice.objects.filter(pk__in=[row.pk for row in rows]).count() if rows else 0


def _short(text: str, longest: int) -> str:
    """Return the text, cut where names of people and things made it longer than there is room for."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
