"""A usage record on its way into the table: a light row, since a batch makes a thousand of them."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from credits.amounts import ZERO
from kit.identifiers import uuid7


@dataclass(slots=True, kw_only=True)
class Usage:
    """The columns of `UsageRecord`, under the same names, with the organization's public id beside its key."""

    organization_id: int
    organization: str
    kind: str
    credits: Decimal
    cost: Decimal
    service: str
    made_by: str
    day: date
    occurred_at: datetime
    created_at: datetime
    id: UUID = field(default_factory=uuid7)
    shortfall: Decimal = ZERO
    user_id: UUID | None = None
    department_id: int | None = None
    key_id: int | None = None
    pool_id: int | None = None
    allocation_id: int | None = None
    hold_id: UUID | None = None
    corrects: UUID | None = None
    transaction_id: str = ""
    late: bool = False
    unpriced: bool = False
    byok: bool = False
    after_the_fact: bool = False
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    price: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
