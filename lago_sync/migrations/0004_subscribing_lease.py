from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0003_starter_packages")]

    operations = [
        migrations.AddField(
            model_name="lagocustomer",
            name="subscribing_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="until then one request may be starting a subscription",
                null=True,
            ),
        ),
    ]
