"""The page that shows what was not sent."""

from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend

from billing_portal import mailbox


def test_the_latest_mail_is_first_with_its_text(tmp_path):
    for number in (1, 2):
        backend = EmailBackend(file_path=str(tmp_path))
        message = EmailMessage(
            f"Hello {number}", "Open http://127.0.0.1:8000/ä", "from@x.example", ["to@x.example"]
        )
        backend.send_messages([message])
        backend.close()
    found = mailbox.latest(tmp_path)
    assert {mail["subject"] for mail in found} == {"Hello 1", "Hello 2"}
    assert found[0]["to"] == "to@x.example"
    assert "http://127.0.0.1:8000/ä" in found[0]["text"]


def test_no_mails_is_an_empty_list(tmp_path):
    assert mailbox.latest(tmp_path / "none") == []
