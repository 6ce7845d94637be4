"""One run against a Lago: the real one that `make test-lago` names, else a sandbox, so that these tests stay true.

Everything that a run makes carries its prefix and is removed again, whatever became of the tests.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.factories.lago import lago_process  # noqa: F401

PATIENCE = 60.0
"""Seconds for what a Lago does a moment later; a real one's job queue may be busy."""


class Run:
    """What a run makes, and how it is taken away."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url.rstrip("/").removesuffix("/api/v1"), key
        self.prefix = f"run-{int(time.time())}-{secrets.token_hex(3)}"
        self.made: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False

    def name(self, of: str) -> str:
        return f"{self.prefix}-{of}"

    def customer(self, of: str) -> str:
        """Return the id of a customer that will be removed with all that belongs to it."""
        return self._note("customers", self.name(of))

    def plan(self, of: str) -> str:
        return self._note("plans", self.name(of))

    def metric(self, of: str) -> str:
        return self._note("billable_metrics", self.name(of))

    def endpoint(self, lago_id: str) -> None:
        self._note("webhook_endpoints", lago_id)

    def remove(self) -> list[str]:
        """Take away what was made, the newest first; return what would not go."""
        left = []
        for path in reversed(self.made):
            answer = self._session.delete(f"{self.url}/api/v1/{path}", headers=self._headers, timeout=30)
            if answer.status_code not in (200, 404):
                left.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        self.made.clear()
        return left

    def close(self) -> None:
        self._session.close()

    def _note(self, resource: str, lago_id: str) -> str:
        self.made.append(f"{resource}/{quote(lago_id, safe='')}")
        return lago_id

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    url, key = os.environ.get("LAGO_TEST_URL"), os.environ.get("LAGO_TEST_KEY")
    if not (url and key):
        sandbox = request.getfixturevalue("lago_process")
        sandbox.reset()
        url, key = sandbox.url, sandbox.api_key
    made = Run(url, key)
    yield made
    left = made.remove()
    made.close()
    assert left == [], f"these are still at Lago: {left}"


@pytest.fixture(autouse=True)
def _portal_asks_it(run: Run, settings: Any) -> None:
    settings.LAGO_API_URL, settings.LAGO_API_KEY = run.url, run.key


@pytest.fixture
def wait() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that asks until the answer is not nothing, and returns it."""

    def until(ask: Callable[[], Any]) -> Any:
        ends = time.monotonic() + PATIENCE
        while not (found := ask()):
            assert time.monotonic() < ends, f"Lago did not come to it within {PATIENCE} seconds"
            time.sleep(0.1)
        return found

    return until
