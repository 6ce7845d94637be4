"""The PDF of an invoice: fetched once, without our key, from nowhere but Lago, and only if it is one."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from lago_sync.client import files
from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.invoices import documents
from lago_sync.models import InvoiceDocument, LagoInvoice
from tests.factories import orgs
from tests.lago_sync.client.scripted import Scripted, say, scripted
from tests.lago_sync.invoices.story import mirrored

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.4 of a test"


@pytest.fixture
def server(settings) -> Iterator[Scripted]:
    with scripted() as found:
        settings.LAGO_API_URL, settings.LAGO_API_KEY = found.url, "secret-key-of-lago"
        yield found


def ready(server: Scripted, path: str = "/files/1.pdf"):
    """Return the answer of a download whose file is there."""
    address = path if path.startswith("http") else f"{server.url}{path}"
    return say(200, {"invoice": {"file_url": address}})


def test_is_made_on_demand_and_fetched_once(billed):
    billed.refresh()
    row = billed.first
    billed.lago.faults({"method": "POST", "path": "/download$", "status": 200, "body": ""})  # not made yet
    assert documents.fetch(invoice=row, now=timezone.now()) is None
    content = documents.fetch(invoice=row, now=timezone.now())
    assert content is not None
    assert content.startswith(b"%PDF-")
    billed.lago.kill()
    try:
        assert documents.fetch(invoice=row, now=timezone.now()) == content
    finally:
        billed.lago.start_again()
    assert InvoiceDocument.objects.count() == 1


def test_is_fetched_without_the_key(server):
    row = mirrored(orgs.team())
    server.answer(ready(server), say(200, PDF))
    assert documents.fetch(invoice=row, now=timezone.now()) == PDF
    asked, fetched = server.asked
    assert "secret-key-of-lago" in asked.headers["Authorization"]
    assert fetched.path == "/files/1.pdf"
    assert "secret-key-of-lago" not in str(fetched.headers)


def test_is_nothing_but_a_pdf_of_lagos_of_bearable_size(server):
    """One that is something else, too large, missing, or elsewhere is refused, and nothing is kept."""
    row, elsewhere = mirrored(orgs.team()), "http://127.0.0.2:9/files/1.pdf"
    answers = {
        "no PDF": (ready(server), say(200, b"<html>sign in</html>")),
        "too large": (ready(server), say(200, PDF + b" " * files.LARGEST)),
        "not there": (ready(server), say(404, b"gone")),
        "elsewhere": (ready(server, elsewhere),),
        "redirected elsewhere": (ready(server), say(302, b"", Location=elsewhere)),
        "a file of this machine": (ready(server, "file:///etc/passwd"),),
    }
    for what, given in answers.items():
        server.answer(*given)
        with pytest.raises(LagoUnavailable):
            documents.fetch(invoice=row, now=timezone.now())
        assert not documents.fetch_wanted(invoice_id=row.pk, now=timezone.now()), what
    assert not InvoiceDocument.objects.exists()


def test_of_a_draft_is_refused_by_lago_and_not_asked_for_by_us(server):
    row = mirrored(orgs.team(), status="draft")
    server.answer(say(404, {"status": 404, "error": "Not Found", "code": "invoice_not_found"}))
    assert documents.fetch_wanted(invoice_id=row.pk, now=timezone.now()) is False
    assert server.asked == []
    with pytest.raises(LagoRefused):
        documents.fetch(invoice=row, now=timezone.now())


def test_has_a_name_that_is_safe_in_a_header():
    row = LagoInvoice(number='SBX-01/2\r\nSet-Cookie: "a"')
    assert documents.filename(row) == "SBX-01-2-Set-Cookie-a.pdf"
    row.number = "…"
    assert documents.filename(row) == "invoice.pdf"
