"""From which day a subscription's periods count, and when Lago made it: what a change of plan will cost rests on both."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0007_lago_whole")]

    operations = [
        migrations.AddField(
            model_name="lagosubscription",
            name="subscription_at",
            field=models.DateTimeField(
                blank=True,
                help_text="its periods count from this day, through every change of plan",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="lagosubscription",
            name="made_at",
            field=models.DateTimeField(
                blank=True,
                help_text="when Lago made it; what began on an earlier day has no invoice of its first period",
                null=True,
            ),
        ),
    ]
