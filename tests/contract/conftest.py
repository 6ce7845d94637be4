"""What the tests of the contract share: a scene to call about, and no keys remembered from the test before."""

import logging
from collections.abc import Iterator

import pytest

from orgs.access import keys
from tests.factories import api
from tests.factories.api import Scene
from tests.factories.lago import lago, lago_process  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _no_remembered_keys() -> Iterator[None]:
    keys.forget_cached()
    yield
    keys.forget_cached()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refusals are meant here; writing each of them down costs as much as making it."""
    caplog.set_level(logging.ERROR, logger="django.request")


@pytest.fixture
def scene(db: None) -> Scene:
    return api.scene()
