"""What the tests of `orgs` share: a clean memory of keys, and callers of the API."""

from collections.abc import Iterator

import pytest
from django.test import Client

from orgs.access import keys
from orgs.models import User


@pytest.fixture(autouse=True)
def _no_remembered_keys() -> Iterator[None]:
    keys.forget_cached()
    yield
    keys.forget_cached()


class Api(Client):
    """A client that speaks JSON, as a key or as a person's browser session."""

    def __init__(self, *, key: str = "", user: User | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(headers=headers, raise_request_exception=False)
        if user is not None:
            self.force_login(user)

    def send(self, method: str, path: str, body: object = None, **headers: str):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self, method.lower())(path, headers=given, **content)


@pytest.fixture
def api() -> type[Api]:
    return Api
