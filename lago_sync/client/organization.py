"""The Lago organization that our key belongs to, and where it sends webhooks."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def health() -> Json:
    """Return Lago's version; needs no key, so it says nothing about ours."""
    return transport.outside("health")


def get() -> Json:
    """Return the organization; the cheapest question that proves the key. Raises LagoRefused (401) for a wrong one."""
    organization: Json = transport.inside(transport.get("organizations") or {}, "organization")
    return organization


def webhook_endpoints() -> Iterator[Json]:
    return transport.pages("webhook_endpoints", "webhook_endpoints")


def make_webhook_endpoint(fields: Json) -> Json:
    answer = transport.post("webhook_endpoints", {"webhook_endpoint": fields}, repeats=False)
    made: Json = transport.inside(answer, "webhook_endpoint")
    return made


def change_webhook_endpoint(lago_id: str, fields: Json) -> Json:
    answer = transport.put(transport.path("webhook_endpoints", lago_id), {"webhook_endpoint": fields})
    changed: Json = transport.inside(answer, "webhook_endpoint")
    return changed
