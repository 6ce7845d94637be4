from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0008_g_watermark_pages")]

    operations = [
        migrations.CreateModel(
            name="WebhookKey",
            fields=[
                (
                    "address",
                    models.CharField(
                        help_text="of Lago's API, which it was fetched from",
                        max_length=500,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("pem", models.TextField()),
                ("pinned_at", models.DateTimeField()),
            ],
        ),
    ]
