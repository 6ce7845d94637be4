"""Mails of notices: what they say, that each goes out once, and what becomes of those that do not."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction

from orgs.notices import mails, notices, preferences, signals
from orgs.notices.kinds import DESCRIPTIONS, GROUPS, Kind
from orgs.notices.models import Notice
from tests.factories import orgs as make
from tests.orgs.racing import race

pytestmark = pytest.mark.django_db
LATER = datetime(2036, 1, 1, tzinfo=UTC)


def tell(person, *, crossing="1", **changes):
    terms = {
        "kind": Kind.POOL_LOW,
        "subject": "pool",
        "title": "The pool of <Acme> is low",
        "lines": ["5 credits are left & 500 is the threshold."],
        "action": "Buy credits",
        "path": "/orgs/acme/credits/buy/",
        "organization": None,
    }
    with transaction.atomic():
        notices.once(to=[person], crossing=crossing, **{**terms, **changes})
    return person.notices.get(crossing=crossing)


def test_every_kind_has_words_and_one_place_in_the_preferences():
    assert set(DESCRIPTIONS) == set(Kind)
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == sorted(Kind)


def test_a_mail_says_the_same_as_text_and_html_links_to_the_portal_and_loads_nothing(settings):
    settings.SITE_URL = "https://billing.example.com"
    person, team = make.user(), make.team("Müller & Söhne")
    notice = tell(person, organization=team)
    assert mails.send_due(now=LATER) == 1
    [sent] = mail.outbox
    [(html, kind)] = sent.alternatives
    assert sent.to == [person.email]
    assert kind == "text/html"
    assert sent.subject.endswith("The pool of <Acme> is low")
    for words in ("Buy credits", "https://billing.example.com/orgs/acme/credits/buy/", "/inbox/preferences/"):
        assert words in sent.body
        assert words in html
    assert "Müller & Söhne" in sent.body
    assert "5 credits are left & 500 is the threshold." in sent.body
    assert "The pool of &lt;Acme&gt; is low" in html
    assert "<Acme>" not in html
    assert not [word for word in ("<img", "<script", "<link", "url(", "src=") if word in html]
    assert sent.extra_headers["Message-ID"] == f"<{notice.pk}@billing.example.com>"
    assert sent.extra_headers["List-Unsubscribe"] == "<https://billing.example.com/inbox/preferences/>"


def test_a_name_of_two_lines_breaks_no_header():
    tell(make.user(), title="Two\nlines")
    assert mails.send_due(now=LATER) == 1
    assert mail.outbox[0].subject.endswith("] Two lines")


def test_each_mail_is_sent_once_and_none_before_its_time():
    person = make.user()
    notice = tell(person)
    assert mails.send_due(now=notice.mail_due_at - timedelta(seconds=1)) == 0
    assert [mails.send_due(now=LATER) for _ in range(3)] == [1, 0, 0]
    notice.refresh_from_db()
    assert (notice.mail, notice.mailed_at, notice.mail_attempts) == ("sent", LATER, 1)


def test_who_switched_the_kind_off_or_left_while_it_waited_gets_none():
    quiet, gone = make.user(), make.user()
    tell(quiet)
    tell(gone)
    with transaction.atomic():
        preferences.switch_off(user=quiet, kinds=[Kind.POOL_LOW])
    type(gone).objects.filter(pk=gone.pk).update(is_active=False)
    assert mails.send_due(now=LATER) == 0
    assert set(Notice.objects.values_list("mail", flat=True)) == {"off"}


def test_a_server_that_is_away_delays_a_mail_and_after_five_attempts_it_has_failed(monkeypatch):
    notice = tell(make.user())
    monkeypatch.setattr(EmailBackend, "send_messages", _away)
    now, waits = notice.mail_due_at, []
    for _ in range(mails.ATTEMPTS):
        assert mails.send_due(now=now) == 0
        assert mails.send_due(now=now) == 0
        notice.refresh_from_db()
        waits.append(notice.mail_due_at - now)
        now = notice.mail_due_at
    assert waits[:-1] == list(mails.WAITS)
    assert (notice.mail, notice.mail_attempts) == ("failed", 5)
    monkeypatch.undo()
    assert mails.send_due(now=LATER) == 0


def test_one_address_that_is_refused_stops_no_other(monkeypatch):
    refused, fine = make.user(), make.user()
    tell(refused)
    tell(fine)
    send = EmailBackend.send_messages
    monkeypatch.setattr(
        EmailBackend,
        "send_messages",
        lambda self, messages: _away() if refused.email in messages[0].to else send(self, messages),
    )
    assert mails.send_due(now=LATER) == 1
    assert [one.to for one in mail.outbox] == [[fine.email]]


def test_a_worker_that_dies_leaves_the_mail_to_the_next_attempt_and_at_last_it_is_given_up():
    notice = tell(make.user())
    now = notice.mail_due_at
    for _ in range(mails.ATTEMPTS):
        assert mails._claim(now=now) == notice  # and nothing comes after: the worker is dead
        assert mails._claim(now=now) is None
        now += timedelta(minutes=5)
    assert mails.send_due(now=now) == 0
    notice.refresh_from_db()
    assert notice.mail == "failed"


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_moment_send_each_mail_once(monkeypatch):
    everybody = {tell(make.user()).user.email for _ in range(12)}
    sent = []
    monkeypatch.setattr(
        EmailBackend, "send_messages", lambda _, messages: sent.extend(messages[0].to) or len(messages)
    )
    assert sum(race(*[partial(mails.send_due, now=LATER)] * 4)) == 12
    assert sorted(sent) == sorted(everybody)


def test_who_knows_an_attachment_attaches_it():
    plain, with_report = tell(make.user()), tell(make.user(), attachment="report:2026-10")

    def attach(*, notice, message, **_):
        assert notice.attachment == "report:2026-10"
        message.attach("report.csv", "a,b\n", "text/csv")

    signals.mail_composed.connect(attach)
    try:
        mails.send_due(now=LATER)
    finally:
        signals.mail_composed.disconnect(attach)
    attached = {sent.to[0]: [name for name, *_ in sent.attachments] for sent in mail.outbox}
    assert attached == {plain.user.email: [], with_report.user.email: ["report.csv"]}


def test_staff_see_which_mails_failed_and_change_nothing(client):
    notice = tell(make.user())
    Notice.objects.update(mail="failed")
    client.force_login(make.system_admin())
    listed = client.get("/admin/notices/notice/?mail=failed&q=" + str(notice.user.email))
    assert notice.title.replace("<", "&lt;").replace(">", "&gt;") in listed.content.decode()
    changed = client.post(f"/admin/notices/notice/{notice.pk}/change/", {"title": "Another"})
    assert changed.status_code == 403
    assert client.get("/admin/notices/notice/add/").status_code == 403


def _away(*_):
    raise ConnectionRefusedError("nobody listens")
