"""A server that answers as told, with the portal's settings pointing at it."""

from collections.abc import Iterator

import pytest

from lago_sync.client import circuit
from tests.lago_sync.client.scripted import Scripted, scripted

KEY = "secret-key-of-lago"


@pytest.fixture
def server(settings) -> Iterator[Scripted]:
    with scripted() as found:
        settings.LAGO_API_URL, settings.LAGO_API_KEY = found.url, KEY
        settings.LAGO_TIMEOUT_SECONDS = 5
        circuit.forget()  # of an earlier server that happened to have this port
        yield found
