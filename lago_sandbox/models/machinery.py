"""The sandbox's own rows: switches and background work."""

from typing import ClassVar

from django.db import models


class Setting(models.Model):
    """A switch of the control plane, or the clock's offset."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.JSONField()

    objects: ClassVar[models.Manager["Setting"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class Job(models.Model):
    """Work to be done at a time of the sandbox's clock; done, it is deleted."""

    kind = models.CharField(max_length=40)
    due_at = models.DateTimeField(db_index=True)
    payload = models.JSONField(default=dict)
    key = models.CharField(max_length=80, null=True, unique=True)  # noqa: DJ001 - unique where it is set
    error = models.TextField(default="")  # set: it failed and is not tried again

    objects: ClassVar[models.Manager["Job"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.kind} at {self.due_at}"
