"""Django admin for `lago_sync`: facts are read-only, and acts go through the same verbs as everybody's."""

from lago_sync.admin import inbox, invoices, outbox, purchases

__all__ = ["inbox", "invoices", "outbox", "purchases"]
