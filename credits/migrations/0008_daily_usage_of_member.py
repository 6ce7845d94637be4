"""What one member used is found without reading everybody's rollup."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("credits", "0007_grants_have_balances")]

    operations = [
        migrations.AddIndex(
            model_name="dailyusage",
            index=models.Index(fields=["organization", "user_id", "day"], name="daily_usage_of_member"),
        ),
    ]
