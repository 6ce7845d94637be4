"""Form fields for credits: what people type stays text until `credits.amounts` reads it."""

import re
from typing import Any, Final

from django import forms

from credits import amounts

_THOUSANDS: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)


class CreditsInput(forms.CharField):
    """An amount of credits as people type it: `1,000` and `1000` are the same."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"inputmode": "decimal", "autocomplete": "off"}
        super().__init__(max_length=40, widget=forms.TextInput(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> Any:
        """Return the amount as a Decimal, None where none is needed and none was given."""
        text: str = super().clean(value)
        if not text:
            return None  # only where it is not required
        plain = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
        try:
            return amounts.parse(plain)
        except ValueError as error:
            raise forms.ValidationError(f"The amount {error}.") from None
