"""Real threads with connections of their own, started at one instant; and the locks taken out, to see a race happen."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Barrier, Event, Thread
from typing import Any

from django.db import connection, transaction

from credits.ledger import payers
from credits.ledger.commands import Settled
from credits.models import Allocation, CreditPool
from kit.errors import DomainError, TryAgain


def race(functions: Sequence[Callable[[], Any]], *, seconds: float = 60) -> list[Any]:
    """Run all at once, each on its own thread and connection; returns what each returned or raised."""
    outcomes: list[Any] = [TimeoutError("it never came back")] * len(functions)
    start = Barrier(len(functions))

    def run(index: int) -> None:
        try:
            connection.ensure_connection()
            start.wait(timeout=30)
            outcomes[index] = functions[index]()
        except BaseException as error:  # noqa: BLE001 - an outcome like any other
            outcomes[index] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index,), daemon=True) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    return outcomes


def until_known(act: Callable[[], Any], *, attempts: int = 20) -> Any:
    """Do as a client does: after `try_again` send the same request again."""
    for _ in range(attempts):
        outcome = act()
        if not isinstance(outcome, TryAgain):
            return outcome
    return outcome


def tally(outcomes: Iterable[Any]) -> Counter[str]:
    """Count outcomes by what they are: done, replayed, a code, or the name of an exception that should not be."""
    return Counter(_kind(one) for one in outcomes)


def _kind(outcome: Any) -> str:
    if isinstance(outcome, Settled):
        return "replayed" if outcome.replayed else "done"
    return outcome.code if isinstance(outcome, DomainError) else f"{type(outcome).__name__}: {outcome}"


@contextmanager
def in_another_session(act: Callable[[], Any]) -> Iterator[Callable[[], None]]:
    """Hold a transaction open on another connection: `act` has run in it when the block begins.

    Yields a function that commits it; leaving the block does so too.
    """
    acted, over = Event(), Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with transaction.atomic():
                act()
                acted.set()
                over.wait(timeout=30)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)
        finally:
            acted.set()
            connection.close()

    thread = Thread(target=run, daemon=True)

    def commit() -> None:
        over.set()
        thread.join(timeout=30)
        if failed:
            raise failed[0]

    thread.start()
    assert acted.wait(timeout=10)
    try:
        yield commit
    finally:
        commit()


def wait_for_a_lock(count: int = 1, *, seconds: float = 10) -> None:
    """Return when this many statements of this database wait for a lock."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError(f"{count} statements never waited for a lock")


def without_locks(monkeypatch: Any, *, pause: float = 0.02) -> None:
    """Take the lock on payers out, and give the others time to read the same balance: the negative control."""

    def unlocked(refs: Iterable[payers.Ref], **_: Any) -> payers.Locked:
        wanted = set(refs)
        rows: dict[payers.Ref, payers.PayerRow] = {}
        for model, kind in ((CreditPool, "pool"), (Allocation, "allocation")):
            for row in model.objects.filter(pk__in=[pk for of, pk in wanted if of == kind]):
                rows[kind, row.pk] = row
        time.sleep(pause)
        return payers.Locked(rows)

    monkeypatch.setattr(payers, "lock", unlocked)
