from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0008_h_identity_months")]

    operations = [
        migrations.RemoveConstraint(model_name="autotopup", name="auto_top_up_buys_one_thing"),
        migrations.AddConstraint(
            model_name="autotopup",
            constraint=models.CheckConstraint(
                condition=Q(package__isnull=False, credits=None)
                | Q(package=None, credits__isnull=False, credits__gt=0),
                name="auto_top_up_buys_one_thing",
            ),
        ),
    ]
