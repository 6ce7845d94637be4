"""The outbox: what Lago must be told, written in the transaction of what happened."""

from typing import ClassVar

from django.db import models


class OutboxEvent(models.Model):
    """One usage record on its way to Lago. `transaction_id` and the payload's timestamp are fixed here, once."""

    organization = models.CharField(max_length=64, help_text="public id")
    transaction_id = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=64)
    payload = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "id"], name="outbox_by_organization")
        ]

    def __str__(self) -> str:
        return self.transaction_id
