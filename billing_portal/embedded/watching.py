"""Changed code, as it changes."""

import threading
from collections.abc import Iterator
from pathlib import Path

from billing_portal.embedded.places import PROJECT

CODE = {".py", ".html", ".sql", ".txt"}
NOT_SERVED = {"var", "tests", "bench", "docs", "examples", "static", "staticfiles", "node_modules"}
LOOK_EVERY = 500  # ms


def changes(stopping: threading.Event) -> Iterator[set[Path]]:
    """Yield what changed, or an empty set after half a second without; ends when `stopping` is set."""
    try:
        yield from watched(stopping)
    except (ImportError, OSError) as error:
        print(f"Code is not reloaded when it changes: {error}", flush=True)
    while not stopping.wait(LOOK_EVERY / 1000):
        yield set()


def watched(stopping: threading.Event) -> Iterator[set[Path]]:
    from watchfiles import watch

    for found in watch(
        *folders_with_code(),
        watch_filter=lambda _change, path: Path(path).suffix in CODE,
        stop_event=stopping,
        rust_timeout=LOOK_EVERY,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        yield {Path(path) for _change, path in found}


def folders_with_code() -> list[Path]:
    return [
        folder
        for folder in PROJECT.iterdir()
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in NOT_SERVED
    ]
