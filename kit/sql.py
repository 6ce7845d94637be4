"""SQL that models cannot say (triggers, functions, views), kept in `.sql` files beside the migration that runs it."""

from pathlib import Path

from django.db.migrations import RunSQL


def run_sql_files(migration_file: str, *names: str) -> list[RunSQL]:
    """Return operations that run `sql/<name>.sql`, reversed by `sql/<name>.reverse.sql`.

    `migration_file` is the migration's `__file__`; the last file is undone first, as with any operations.
    """
    folder = Path(migration_file).parent / "sql"
    return [
        RunSQL((folder / f"{name}.sql").read_text(), (folder / f"{name}.reverse.sql").read_text())
        for name in names
    ]
