"""Admin pages of the ledger."""

from credits.admin import books, grants, payers, prices

__all__ = ["books", "grants", "payers", "prices"]
