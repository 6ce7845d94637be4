from collections.abc import Iterator

import pytest

from tests.factories.lago import Sandbox, lago, lago_process  # noqa: F401 - fixtures
from tests.lago_sandbox.receiver import Receiver
from tests.lago_sandbox.shop import Shop


@pytest.fixture
def shop(lago: Sandbox) -> Shop:  # noqa: F811 - the fixture
    return Shop(lago)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return an HTTP server that keeps what it is told, and answers what the test says."""
    found = Receiver()
    yield found
    found.close()
