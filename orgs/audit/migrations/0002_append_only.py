"""Audit events can be added, never changed: the triggers, and the functions that other books use for theirs."""

from typing import ClassVar

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0001_audit_events")]

    operations: ClassVar = run_sql_files(__file__, "append_only")
