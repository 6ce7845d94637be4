"""Money on a page. Every amount goes through here."""

from django import template

from lago_sync import money

register = template.Library()


@register.simple_tag(name="money")
def shown(cents: int, currency: str) -> str:
    """Return an amount of minor units in its currency (`$1,234.50`)."""
    return money.display(cents, currency)


@register.filter
def purchase_tone(status: str) -> str:
    """Return the tone of a purchase's badge."""
    tones = {
        "completed": "ok",
        "awaiting_payment": "warn",
        "declined": "bad",
        "failed": "bad",
        "disputed": "bad",
        "abandoned": "",
        "refunded": "",
    }
    return tones.get(status, "accent")
