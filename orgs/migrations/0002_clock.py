"""`portal_clock()`: the wall at this moment, which tests may move."""

from typing import ClassVar

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orgs", "0001_initial")]

    operations: ClassVar = run_sql_files(__file__, "clock")
