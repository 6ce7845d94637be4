"""Grants end: those that were made before get a priority and a balance, and withdrawals are append-only."""

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies = [("credits", "0006_grants_end_and_own_prices")]

    operations = [*run_sql_files(__file__, "grants_end")]
