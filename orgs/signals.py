"""What `orgs` announces to the apps above it. Sent inside the transaction: a receiver that fails undoes the change."""

from django.dispatch import Signal

membership_began = Signal()
"""Somebody joined or came back. Arguments: membership (row locked), by (Actor).

Sent once per joining, before the audit event; credits gives the standard allocation here.
"""

membership_ended = Signal()
"""A member left or was removed. Arguments: membership (ended, its row locked), by (Actor).

Sent once per membership, before the audit event; credits closes the member's allocation here.
"""

memberships_moved = Signal()
"""Members are in another department, or in none. Arguments: memberships (list, rows locked), by (Actor).

Sent once for all who were moved together, before the audit events; credits closes their allocations here.
"""

department_archived = Signal()
"""A department was archived. Arguments: department, members (list of Membership, now in none; all rows locked), by (Actor).

Stands for `memberships_moved` of these members.
"""

departments_described = Signal()
"""The API shows departments. Arguments: organization, departments (list).

A receiver returns {department pk: {"pool": …, "used_30_days": …, "budget": …}}; what nobody adds is null. Reads only.
"""

fee_paid = Signal()
"""A plan's fee was paid. Arguments: fee (PlanFee, new), by (Actor). Sent before the audit event; credits grants here."""

subscription_changed = Signal()
"""A subscription began, changed its plan or its period, became past due, was restored or ended.

Arguments: subscription (as it is now), before (dict of plan_code, status and period; empty for a new one), by (Actor).
Sent before the audit event; notices tell of it here.
"""
