"""An invoice as a PDF of one page: ready a moment after the invoice, as at Lago."""

from datetime import datetime
from typing import Any

from lago_sandbox import money, settings
from lago_sandbox.models import Invoice
from lago_sandbox.webhooks.emit import emit


def make(payload: dict[str, Any], now: datetime) -> None:
    """Let an invoice's document be there."""
    invoice = Invoice.objects.get(pk=payload["invoice"])
    if invoice.file_url is None:
        invoice.file_url = f"{settings.URL}/files/{invoice.id}.pdf"
        invoice.save(update_fields=["file_url"])
        emit("invoice.generated", about=invoice, now=now)


def pdf(invoice: Invoice) -> bytes:
    """Return the document."""
    amount = money.to_major(invoice.total_amount_cents, invoice.currency)
    lines = [
        f"Invoice {invoice.number}",
        f"Issued {invoice.issuing_date:%d %B %Y}",
        f"For {invoice.customer.details.get('legal_name') or invoice.customer.details.get('name') or invoice.customer.external_id}",
        *[f"{fee.item['name']}: {money.to_major(fee.amount_cents, invoice.currency)} {invoice.currency}" for fee in invoice.fees.all()],
        f"Total {amount} {invoice.currency}",
        "Made by the Lago sandbox: no money moves.",
    ]  # fmt: skip
    shown = "".join(f"({_escape(line)}) Tj T* " for line in lines)
    stream = f"BT /F1 12 Tf 20 TL 60 760 Td {shown}ET".encode("latin-1", "replace")
    return _assemble(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            (
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
                b"/Resources << /Font << /F1 5 0 R >> >> >>"
            ),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        ]
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _assemble(objects: list[bytes]) -> bytes:
    found, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(found))
        found += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return found + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(found))
    )
