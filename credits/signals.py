"""What `credits` announces to the apps above it. Sent inside the transaction: a receiver that fails undoes the charge."""

from django.dispatch import Signal

usage_recorded = Signal()
"""Usage records were made. Arguments: records (list of `credits.ledger.records.Usage`, all that the transaction made).

Sent once per settled batch; a receiver may only write rows of its own, in one statement.
"""
