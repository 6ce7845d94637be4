"""Runs functions at the same moment, each on a thread and connection of its own."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

from django.db import connection


def race(*functions: Callable[[], Any]) -> list[Any]:
    """Return what each returned or raised, in the order given."""
    outcomes: list[Any] = [None] * len(functions)
    start = Barrier(len(functions))

    def run(index: int, function: Callable[[], Any]) -> None:
        start.wait(timeout=10)
        try:
            outcomes[index] = function()
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            outcomes[index] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index, function)) for index, function in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return outcomes
