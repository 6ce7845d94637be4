"""Writing to SQLite: one writer at a time, decided in the process, so that nobody waits in SQLite's own polling."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import transaction

_LOCK = threading.RLock()
P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def writing() -> Iterator[None]:
    """Open the process's one writing transaction; an exception takes everything back."""
    with _LOCK, transaction.atomic():
        yield


def writes(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function inside `writing`."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with writing():
            return function(*args, **kwargs)

    return inside
