"""What `lago_sync` does when the apps below it announce something: it writes rows of its own, nothing else."""

from typing import Any

from django.core.mail import EmailMultiAlternatives

from credits.ledger.records import Usage
from credits.signals import usage_recorded
from lago_sync.invoices import mailing
from lago_sync.outbox import writing
from orgs.notices.models import Notice
from orgs.notices.signals import mail_composed


def connect() -> None:
    """Listen; called once, when the app is ready."""
    usage_recorded.connect(_write_outbox, dispatch_uid="lago_sync.outbox")
    mail_composed.connect(_attach_invoice, dispatch_uid="lago_sync.mail_composed")


def _write_outbox(*, records: list[Usage], **_: Any) -> None:
    writing.add(records=records)


def _attach_invoice(*, notice: Notice, message: EmailMultiAlternatives, **_: Any) -> None:
    mailing.attach(attachment=notice.attachment, message=message)
