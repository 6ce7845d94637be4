"""A bar on the terminal while a command works through a list; without a terminal, a line every few seconds."""

import sys
import time
from typing import Final

_WIDTH: Final = 30
_SECONDS_ON_PAPER: Final = 5.0
_SECONDS_ON_SCREEN: Final = 0.2


class Bar:
    """Draws how many of how many are done; call it with both."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.is_terminal = sys.stderr.isatty()
        self.drawn = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now, is_last = time.monotonic(), done == of
        if not is_last and now - self.drawn < (_SECONDS_ON_SCREEN if self.is_terminal else _SECONDS_ON_PAPER):
            return
        self.drawn = now
        filled = _WIDTH * done // max(of, 1)
        bar = "#" * filled + "." * (_WIDTH - filled)
        line = f"{self.what} [{bar}] {done:,} of {of:,}"
        sys.stderr.write(f"\r{line}\033[K{chr(10) if is_last else ''}" if self.is_terminal else f"{line}\n")
        sys.stderr.flush()
