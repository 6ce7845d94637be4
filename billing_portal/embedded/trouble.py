"""The one error of this package that a person reads."""


class Trouble(Exception):
    """What failed, why, and the next command, in one line; printed without a traceback."""

    def __init__(self, what: str, *, why: str, do: str) -> None:
        super().__init__(f"{what}: {why}. {do}")
