"""The four views of the portal's predecessor, for analysts; they read tables of `orgs`, `credits` and `lago_sync`."""

from django.db import migrations

from kit.sql import run_sql_files


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0005_paid_fees_and_unpriced"),
        ("credits", "0007_grants_have_balances"),
        ("lago_sync", "0005_purchases_say_what_was_paid"),
    ]

    operations = [*run_sql_files(__file__, "seed_views")]
