"""Resets are append-only, and allocations that were given before know their amount."""

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies = [("credits", "0009_sharing_and_limits")]

    operations = [*run_sql_files(__file__, "resets")]
