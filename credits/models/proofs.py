"""When the laws of the ledger were last proved, and what was found."""

from typing import ClassVar

from django.db import models


class Verification(models.Model):
    """One run of `reconcile_credits` over every organization; nothing is mended by it."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    organizations = models.PositiveIntegerField()
    laws = models.PositiveIntegerField()
    violations = models.PositiveIntegerField()
    found = models.JSONField(default=list, help_text="the first violations, as sentences")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["-finished_at"], name="verification_newest")
        ]

    def __str__(self) -> str:
        return f"{self.violations} violations at {self.finished_at:%Y-%m-%d %H:%M}"
