"""The opponent's models, as Django finds them."""

from bench.textbook import Allocation, Charge, DailyUsage, Organization, OutboxEvent

__all__ = ["Allocation", "Charge", "DailyUsage", "Organization", "OutboxEvent"]
