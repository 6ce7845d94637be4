"""Wallets: our organizations' wallet for credits is the one that the portal knows. What it must be like: `setup.guard`."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from lago_sync.client import wallets
from lago_sync.client.transport import Json
from lago_sync.customers import linking, restrictions
from lago_sync.models import LagoCustomer
from lago_sync.reconcile.kinds.kind import SHORTLY, Found, Kind, instant, text

_ANOTHER: Final = (
    "Somebody made it at Lago. See that no purchase is open, terminate it there, or set it as the wallet of the "
    "organization's Lago customer in the admin."
)


def judge(rows: list[Json]) -> Iterator[Found]:
    """Compare the wallets for credits of linked organizations with those that the portal knows."""
    ours = {
        text(row.get("external_customer_id")): row
        for row in rows
        if restrictions.is_active(row) and row.get("code") == restrictions.CODE
    }
    linked = LagoCustomer.objects.filter(organization__public_id__in=ours).select_related("organization")
    for link in linked:
        public_id = link.organization.public_id
        row = ours[public_id]
        if str(link.wallet_id) == row["lago_id"]:
            continue
        found = partial(Found, kind="wallet", subject=row["lago_id"], organization=public_id)
        if link.wallet_id is None:
            yield found(what="Lago has a wallet that the portal does not know", repair=partial(_know, link))
        else:
            yield found(what="Lago has another wallet for credits than the portal knows", do=_ANOTHER)


def _know(link: LagoCustomer, now: datetime) -> None:
    linking.ensure_wallet(customer=link, now=now)


WALLETS: Final = Kind(
    name="wallets",
    listed=lambda page: wallets.everyone(page=page),
    of_customer=wallets.of_customer,
    one=wallets.get,
    judge=judge,
    made_at=lambda row: instant(row["created_at"]),
    overlap=SHORTLY,
)
