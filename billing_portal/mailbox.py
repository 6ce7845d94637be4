"""The mails that were not sent: with DEBUG they are files, and /dev/mail/ shows them."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

SHOWN = 50
SEPARATOR = b"-" * 79 + b"\n"  # what Django's file backend writes after each message


@login_not_required  # the first mail a person needs is the one that lets them sign in
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """List the latest mails, newest first; routed with DEBUG only."""
    return render(request, "dev/mail.html", {"mails": latest(Path(settings.MAIL_FOLDER))})


def latest(folder: Path) -> list[dict[str, str]]:
    files = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    mails = [
        read(part)
        for file in files[:SHOWN]
        for part in reversed(file.read_bytes().split(SEPARATOR))
        if part.strip()
    ]
    return mails[:SHOWN]


def read(raw: bytes) -> dict[str, str]:
    message = message_from_bytes(raw, EmailMessage, policy=policy.default)
    body = message.get_body(preferencelist=("plain", "html"))
    return {
        "to": str(message["To"]),
        "subject": str(message["Subject"]),
        "date": str(message["Date"]),
        "text": body.get_content() if body else "",
    }
