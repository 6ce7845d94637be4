from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0008_b_subscription_anchor")]

    operations = [
        migrations.AddField(
            model_name="lagocustomer",
            name="body",
            field=models.JSONField(
                blank=True, default=dict, editable=False, help_text="as Lago showed it last"
            ),
        ),
        migrations.AddField(
            model_name="lagocustomer",
            name="synced_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="when Lago was asked for that", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(
                condition=~Q(code="credits_used"),
                fields=["organization", "created_at", "code"],
                name="outbox_other_events",
            ),
        ),
    ]
