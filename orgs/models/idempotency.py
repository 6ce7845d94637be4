"""Answers kept for `Idempotency-Key`, in the transaction of the change that they answer for."""

from typing import ClassVar

from django.db import models


class IdempotentAnswer(models.Model):
    """What a write answered, per caller, method, path and key, so that a repeat gets the same answer and moves nothing."""

    principal = models.CharField(max_length=64)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=255)
    key = models.CharField(max_length=128)
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["principal", "method", "path", "key"], name="idempotency_key_once"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["created_at"], name="idempotency_by_age")
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
