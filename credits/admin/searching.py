"""How lists of the ledger are searched: by whose rows they are."""

from typing import Any, Final

ORGANIZATION: Final[Any] = {"organization": ("public_id__exact", "slug__startswith")}
WHOSE: Final[Any] = {**ORGANIZATION, "user": ("public_id__exact", "email__startswith")}
