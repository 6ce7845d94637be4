"""Indexes for the audit page: what somebody did, all acts of a kind, all that happened to something, newest first."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0002_append_only")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "action", "-sequence"], name="audit_event_by_action"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "actor", "-sequence"], name="audit_event_by_actor"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "target", "-sequence"], name="audit_event_by_target"),
        ),
    ]
