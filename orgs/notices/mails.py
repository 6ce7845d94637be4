"""Sending notices by e-mail: one mail at a time under a lease, so that several workers never send the same one.

An attempt is counted before it is made. A worker that dies in between leaves the mail to the next attempt, and since a
mail's Message-ID is its notice's, who gets it twice can tell.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse

from kit import transactions
from orgs.notices import signals
from orgs.notices.kinds import DESCRIPTIONS, Kind
from orgs.notices.models import Notice, Preference

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 5
WAITS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
"""After each attempt that failed but the last one."""
_LEASE: Final = timedelta(minutes=5)
"""Above what sending one mail can take."""
_STARTS_WITHIN: Final = 10.0  # seconds: one run of the job begins no further mail after this


def send_due(*, now: datetime) -> int:
    """Send the mails whose time has come and return how many went out; one that fails stops no other."""
    began, sent = time.monotonic(), 0
    _give_up(now=now)
    connection = get_connection()
    try:
        while time.monotonic() - began <= _STARTS_WITHIN and (notice := _claim(now=now)) is not None:
            sent += _deliver(notice, connection, now=now)
    finally:
        connection.close()
    return sent


def compose(notice: Notice) -> EmailMultiAlternatives:
    """Return the mail of a notice: text and HTML that say the same, whatever is attached, and the way out of it."""
    preferences = urljoin(settings.SITE_URL, reverse("notices:preferences"))
    context = {
        "notice": notice,
        "portal": settings.PORTAL_NAME,
        "site": settings.SITE_URL,
        "link": urljoin(settings.SITE_URL, notice.path) if notice.path else "",
        "about": DESCRIPTIONS[Kind(notice.kind)],
        "preferences": preferences,
    }
    message = EmailMultiAlternatives(
        subject=" ".join(f"[{settings.PORTAL_NAME}] {notice.title}".split()),
        body=render_to_string("notices/mail.txt", context),
        to=[str(notice.user.email)],
        headers={
            "Message-ID": f"<{notice.pk}@{urlsplit(settings.SITE_URL).hostname}>",
            "List-Unsubscribe": f"<{preferences}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("notices/mail.html", context), "text/html")
    if notice.attachment:
        signals.mail_composed.send(sender=Notice, notice=notice, message=message)
    return message


def _claim(*, now: datetime) -> Notice | None:
    """Take the mail that has waited longest and count an attempt; None where none is due. Others pass it over."""
    with transactions.durable():
        due = Notice.objects.filter(
            mail=Notice.Mail.PENDING, mail_due_at__lte=now, mail_attempts__lt=ATTEMPTS
        ).order_by("mail_due_at", "pk")
        taken = due.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True).first()
        if taken is None:
            return None
        Notice.objects.filter(pk=taken).update(mail_attempts=F("mail_attempts") + 1, mail_due_at=now + _LEASE)
    return Notice.objects.select_related("user", "organization").get(pk=taken)


def _deliver(notice: Notice, connection: BaseEmailBackend, *, now: datetime) -> bool:
    """Send one mail and note what became of it; nothing of a mail server's is raised."""
    if not _is_wanted(notice):
        _note(notice, mail=Notice.Mail.OFF)
        return False
    try:
        message = compose(notice)
        message.connection = connection
        connection.open()  # one connection for the whole run; left closed, each mail would make its own
        message.send()
    except Exception:  # a server that is away, an address it refuses, an attachment that cannot be made
        logger.exception("the mail of notice %s was not sent", notice.pk)
        connection.close()
        _failed(notice, now=now)
        return False
    _note(notice, mail=Notice.Mail.SENT, mailed_at=now)
    return True


def _is_wanted(notice: Notice) -> bool:
    """Tell whether the receiver still wants it: they may have switched its kind off, or left, while it waited."""
    if not notice.user.is_active or not notice.user.email:
        return False
    return not Preference.objects.filter(user=notice.user_id, kind=notice.kind).exists()


def _failed(notice: Notice, *, now: datetime) -> None:
    if notice.mail_attempts >= ATTEMPTS:
        _note(notice, mail=Notice.Mail.FAILED)
    else:
        _note(notice, mail_due_at=now + WAITS[notice.mail_attempts - 1])


def _give_up(*, now: datetime) -> None:
    """Note as failed what no worker came back from after its last attempt."""
    with transactions.durable():
        Notice.objects.filter(
            mail=Notice.Mail.PENDING, mail_attempts__gte=ATTEMPTS, mail_due_at__lte=now
        ).update(mail=Notice.Mail.FAILED)


def _note(notice: Notice, **changes: object) -> None:
    with transactions.durable():
        Notice.objects.filter(pk=notice.pk, mail=Notice.Mail.PENDING).update(**changes)
