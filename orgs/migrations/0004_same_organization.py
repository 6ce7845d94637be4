"""What belongs together is of one organization: a member's department, and what a key names."""

from typing import ClassVar

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orgs", "0003_plans")]

    operations: ClassVar = run_sql_files(__file__, "same_organization")
