"""List prices of widely used models, in USD per million tokens, so that a new portal prices something at once.

They are a starting point of 2026, not an offer: system admins edit them, and each charge keeps the price it was made by.
"""

from decimal import Decimal
from typing import Final

MILLION: Final = Decimal(1_000_000)

PER_MILLION_TOKENS: Final[dict[str, tuple[str, str, str, str]]] = {
    # model: provider, input, output, cached input
    "gpt-4o": ("openai", "2.50", "10.00", "1.25"),
    "gpt-4o-mini": ("openai", "0.15", "0.60", "0.075"),
    "gpt-4.1": ("openai", "2.00", "8.00", "0.50"),
    "gpt-4.1-mini": ("openai", "0.40", "1.60", "0.10"),
    "gpt-5": ("openai", "1.25", "10.00", "0.125"),
    "gpt-5-mini": ("openai", "0.25", "2.00", "0.025"),
    "text-embedding-3-small": ("openai", "0.02", "0", "0.02"),
    "claude-sonnet-4": ("anthropic", "3.00", "15.00", "0.30"),
    "claude-haiku-4": ("anthropic", "1.00", "5.00", "0.10"),
    "gemini-2.5-pro": ("google", "1.25", "10.00", "0.31"),
    "gemini-2.5-flash": ("google", "0.30", "2.50", "0.075"),
    "llama-3.3-70b": ("meta", "0.59", "0.79", "0.59"),
}
PER_IMAGE: Final[dict[tuple[str, str, str], tuple[str, str]]] = {
    # model, size, quality: provider, price each
    ("dall-e-3", "1024x1024", "standard"): ("openai", "0.04"),
    ("dall-e-3", "1024x1024", "hd"): ("openai", "0.08"),
    ("gpt-image-1", "1024x1024", "medium"): ("openai", "0.042"),
}
PER_UNIT: Final[dict[str, str]] = {
    # unit of a service: price each
    "api_call": "0.01",
    "storage_gb": "0.10",
    "compute_hour": "0.50",
}
