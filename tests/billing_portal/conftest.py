"""What the tests of the whole share: a Lago."""

from tests.factories.lago import lago, lago_process  # noqa: F401 - fixtures
