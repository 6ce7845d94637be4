"""What somebody chose to buy, read from a query or a form; its price is not for them to say."""

from typing import Any

from django import forms

from credits.views.fields import CreditsInput
from lago_sync.purchases.orders import Order


class OrderForm(forms.Form):
    """A package, or a number of credits."""

    package = forms.SlugField(required=False, max_length=64, widget=forms.HiddenInput)
    credits = CreditsInput(label="Credits", required=False, help_text="From 100.")

    def clean(self) -> dict[str, Any]:
        """Refuse both and neither."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(cleaned.get("package")) == (cleaned.get("credits") is not None):
            self.add_error("credits", "Choose a package, or say how many credits.")
        return cleaned

    def order(self, *, return_url: str) -> Order:
        """Return the order that a valid form says."""
        return Order(
            package_code=self.cleaned_data["package"] or None,
            credits=self.cleaned_data["credits"],
            return_url=return_url,
        )
