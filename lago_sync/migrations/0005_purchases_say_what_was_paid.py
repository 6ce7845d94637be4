"""Grants of purchases that were completed before grants kept what was paid for them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("lago_sync", "0004_subscribing_lease"),
        ("credits", "0007_grants_have_balances"),
    ]

    operations = [
        migrations.RunSQL(
            """
            SELECT portal_unmake_append_only(ARRAY['credits_grant']);
            UPDATE credits_grant AS g SET paid_cents = p.amount_cents, currency = p.currency
            FROM lago_sync_purchase AS p WHERE p.grant_id = g.id;
            SELECT portal_make_append_only(ARRAY['credits_grant']);
            """,
            migrations.RunSQL.noop,
        )
    ]
