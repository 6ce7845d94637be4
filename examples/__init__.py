"""Small programs against the portal; each runs by itself: `python -m examples.new_company` (examples/README.md)."""
