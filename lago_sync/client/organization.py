"""The Lago organization that our key belongs to, where it sends webhooks and what it signs them with."""

import binascii
from base64 import b64decode
from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused, LagoUnavailable


def health() -> Json:
    """Return Lago's version; needs no key, so it says nothing about ours."""
    return transport.outside("health")


def get() -> Json:
    """Return the organization; the cheapest question that proves the key, asked although the circuit may be open.

    Raises LagoRefused (401) for a wrong one.
    """
    organization: Json = transport.inside(transport.require("organizations", always=True), "organization")
    return organization


def is_licensed() -> bool | None:
    """Tell whether Lago has a premium licence, by a figure that it shows only then; None where it does not say."""
    try:
        answer = transport.get("analytics/mrr")
    except LagoRefused as refusal:
        return False if refusal.lago_code == "feature_unavailable" else None
    return True if answer is not None else None


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


def remove_webhook_endpoint(lago_id: str) -> Json | None:
    answer = transport.delete(transport.path("webhook_endpoints", lago_id))
    return transport.inside(answer, "webhook_endpoint") if answer is not None else None


def public_key() -> str:
    """Return the PEM of the key that Lago signs webhooks with (RS256). Raises LagoUnavailable, LagoRefused."""
    encoded = transport.inside(transport.require("webhooks/json_public_key"), "webhook")
    try:
        return b64decode(transport.inside(encoded, "public_key", str)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise LagoUnavailable("Lago's public key cannot be read.") from error
