"""Who is told, and what."""

from typing import ClassVar

from django.db import models

from lago_sandbox.models.fields import Row


class WebhookEndpoint(Row):
    webhook_url = models.CharField(max_length=500)
    signature_algo = models.CharField(max_length=8, default="jwt")
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    event_types = models.JSONField(null=True)

    objects: ClassVar[models.Manager["WebhookEndpoint"]] = models.Manager()


class Delivery(Row):
    """One message to one endpoint; its id is the Unique-Key of every attempt."""

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    position = models.IntegerField()  # in the order in which things happened
    webhook_type = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=40)
    extra = models.JSONField(default=dict)  # a payload that no row can tell later
    body = models.TextField(null=True)  # noqa: DJ001 - written when it is first sent, the same for every attempt
    status = models.CharField(max_length=12, default="pending")  # pending, succeeded, failed, dropped
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(db_index=True)
    answered = models.CharField(max_length=200, default="")

    objects: ClassVar[models.Manager["Delivery"]] = models.Manager()
