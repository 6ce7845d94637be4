"""A watermark knows where a run that was cut short goes on."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0008_f_customers_as_seen_and_other_events")]

    operations = [
        migrations.AddField(
            model_name="watermark",
            name="page",
            field=models.PositiveIntegerField(
                default=0, help_text="where a run that is not over goes on; 0: none is under way"
            ),
        ),
        migrations.AddField(
            model_name="watermark",
            name="began_at",
            field=models.DateTimeField(blank=True, help_text="when that run began", null=True),
        ),
        migrations.AlterField(
            model_name="watermark",
            name="ran_at",
            field=models.DateTimeField(
                blank=True, help_text="when the last run ended that read to its end", null=True
            ),
        ),
        migrations.AlterField(
            model_name="watermark",
            name="through",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
