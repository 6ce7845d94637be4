"""In which order grants are used where they do not say: presents before what was paid for."""

from typing import Final

PRIORITIES: Final = {
    "promotion": 10,
    "goodwill": 20,
    "plan": 30,
    "adjustment": 40,
    "migration": 50,
    "purchase": 60,
}
"""By source; lower ones are used first."""
