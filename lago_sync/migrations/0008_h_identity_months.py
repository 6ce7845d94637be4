"""The comparison of books is kept by month too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0008_e_webhook_key")]

    operations = [
        migrations.AddField(
            model_name="identity",
            name="months",
            field=models.JSONField(default=dict, help_text="{2026-11: {name: {ours, lagos}}}, UTC"),
        ),
        migrations.AlterField(
            model_name="identity",
            name="differences",
            field=models.JSONField(
                default=list, help_text="[{what, why, ours, lagos, month}], empty if all agree"
            ),
        ),
    ]
