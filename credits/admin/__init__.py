"""Admin pages of the ledger."""

from credits.admin import books, payers, prices

__all__ = ["books", "payers", "prices"]
