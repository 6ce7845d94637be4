"""Development only: PostgreSQL and Valkey from wheels, and the processes of `make run`. Imported by no app."""

from billing_portal.embedded.instance import Lease, ensure_running
from billing_portal.embedded.trouble import Trouble

__all__ = ["Lease", "Trouble", "ensure_running"]
