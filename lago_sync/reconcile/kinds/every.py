"""All kinds that the poll reads, what others rest on first."""

from typing import Final

from lago_sync.reconcile.kinds.customers import CUSTOMERS
from lago_sync.reconcile.kinds.invoices import INVOICES, PAYMENTS
from lago_sync.reconcile.kinds.kind import Kind
from lago_sync.reconcile.kinds.plans import PLANS
from lago_sync.reconcile.kinds.subscriptions import SUBSCRIPTIONS
from lago_sync.reconcile.kinds.wallets import WALLETS

KINDS: Final[tuple[Kind, ...]] = (PLANS, CUSTOMERS, SUBSCRIPTIONS, INVOICES, PAYMENTS, WALLETS)
