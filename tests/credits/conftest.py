"""What the tests of `credits` share: no remembered prices, and a clock that stands where the wall's does."""

from collections.abc import Iterator

import pytest

from credits.pricing import sizes, table


@pytest.fixture(autouse=True)
def _fresh_prices() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    table.forget()
    sizes.forget()
