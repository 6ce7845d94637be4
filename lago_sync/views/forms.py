"""What somebody chose to buy, now or by itself, read from a query or a form; its price is not for them to say."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django import forms

from credits import amounts
from credits.views import refusals
from credits.views.fields import CreditsInput
from kit.errors import DomainError, ValidationError
from lago_sync import money
from lago_sync.models import AutoTopUp, Package
from lago_sync.purchases.auto_top_ups import Terms
from lago_sync.purchases.orders import Order

_OWN_NUMBER: Final = "own"
_MOST_MONEY: Final = Decimal(1_000_000_000)


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


class MoneyInput(forms.DecimalField):
    """An amount of money in major units; its value is minor units."""

    def __init__(self, *, currency: str, **kwargs: Any) -> None:
        attrs = {"inputmode": "decimal", "autocomplete": "off"}
        super().__init__(max_value=_MOST_MONEY, widget=forms.TextInput(attrs=attrs), **kwargs)
        self.currency = currency

    def clean(self, value: Any) -> Any:
        """Return the amount in minor units."""
        given = super().clean(value.replace(",", "") if isinstance(value, str) else value)
        try:
            return None if given is None else money.minor(given, self.currency)
        except ValueError:
            decimals = money.places(self.currency)
            raise forms.ValidationError(f"{self.currency} has {decimals} decimals.") from None


class AutoTopUpForm(forms.Form):
    """What is bought by itself, below which threshold, and at most for how much."""

    is_on = forms.BooleanField(label="Buy by itself", required=False)
    threshold = CreditsInput(label="When fewer credits are available than")
    buys = forms.ChoiceField(label="Buy")
    credits = CreditsInput(
        label="Credits", required=False, help_text="Only with “A number of your own” above."
    )

    def __init__(
        self,
        data: Any,
        *,
        currency: str,
        packages: Sequence[Package],
        row: AutoTopUp | None,
        has_card: bool,
    ) -> None:
        super().__init__(data, initial=_initial(row) if row is not None else {"is_on": has_card})
        shown = [
            (
                one.code,
                f"{amounts.display(one.credits)} credits for {money.display(one.amount_cents, currency)}",
            )
            for one in packages
        ]
        buys = self.fields["buys"]
        assert isinstance(buys, forms.ChoiceField)  # noqa: S101 - declared above
        buys.choices = [*shown, (_OWN_NUMBER, "A number of your own")]
        self.fields["day_cap_cents"] = MoneyInput(
            currency=currency,
            label=f"At most a day ({currency})",
            help_text="Counted in the organization's own days.",
        )
        self.fields["month_cap_cents"] = MoneyInput(currency=currency, label=f"At most a month ({currency})")

    def clean(self) -> dict[str, Any]:
        """Ask for the number where no package is chosen."""
        cleaned: dict[str, Any] = super().clean() or {}
        if (
            cleaned.get("buys") == _OWN_NUMBER
            and cleaned.get("credits") is None
            and "credits" not in self.errors
        ):
            self.add_error("credits", "Say how many credits.")
        return cleaned

    @property
    def terms(self) -> Terms:
        """Return what a valid form says."""
        given = self.cleaned_data
        is_own = given["buys"] == _OWN_NUMBER
        return Terms(
            is_on=given["is_on"],
            threshold=given["threshold"],
            package_code=None if is_own else given["buys"],
            credits=given["credits"] if is_own else None,
            day_cap_cents=given["day_cap_cents"],
            month_cap_cents=given["month_cap_cents"],
        )

    def explain(self, refusal: DomainError) -> None:
        """Say a refusal beside the field that it is about."""
        if not isinstance(refusal, ValidationError):
            refusals.explain(refusal, self, source=None)
            return
        for name, why in refusal.details.items():
            field = "buys" if name == "package_code" else name
            self.add_error(field if field in self.fields else None, str(why))


def _initial(row: AutoTopUp) -> dict[str, Any]:
    return {
        "is_on": row.is_on,
        "threshold": amounts.text(row.threshold),
        "buys": row.package.code if row.package else _OWN_NUMBER,
        "credits": amounts.text(row.credits) if row.credits is not None else "",
        "day_cap_cents": money.major_text(row.day_cap_cents, row.currency),
        "month_cap_cents": money.major_text(row.month_cap_cents, row.currency),
    }
