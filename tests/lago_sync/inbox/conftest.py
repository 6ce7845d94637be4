"""The inbox hears the real sandbox."""

from tests.factories.lago import lago, lago_process  # noqa: F401
