"""What all models share."""

import uuid
from decimal import Decimal
from typing import Any

from django.db import models


class ExactDecimal(models.TextField[Decimal, Decimal]):
    """A decimal kept as text: SQLite would keep a DecimalField as a float."""

    def from_db_value(self, value: str | None, *_args: Any) -> Decimal | None:
        return None if value is None else Decimal(value)

    def to_python(self, value: Any) -> Decimal | None:
        return None if value is None else Decimal(str(value))

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)


class Row(models.Model):
    """A row with a UUID, Lago's `lago_id`, and the time it was made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        abstract = True
