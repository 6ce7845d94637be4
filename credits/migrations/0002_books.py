"""The books are append-only, and a hold ends once, whoever writes SQL."""

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies = [
        ("credits", "0001_initial"),
        ("audit", "0002_append_only"),
        ("orgs", "0004_same_organization"),
    ]

    operations = [*run_sql_files(__file__, "append_only", "holds_end_once")]
