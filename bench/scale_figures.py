"""What `bench.scale` found, and how it is shown."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Measure:
    """One line of the table: how long one question took, in seconds each, against the most its p95 should be."""

    place: str
    name: str
    target_ms: float
    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def is_met(self) -> bool:
        return not self.failures and percentile(self.seconds, 0.95) * 1000 <= self.target_ms

    def as_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "measure": self.name,
            "target_ms": self.target_ms,
            "p50_ms": round(percentile(self.seconds, 0.5) * 1000, 3),
            "p95_ms": round(percentile(self.seconds, 0.95) * 1000, 3),
            "n": len(self.seconds),
            "failures": self.failures,
            "met": self.is_met,
        }


@dataclass(slots=True)
class Hold:
    """Holds placed in one database, a list of seconds a turn."""

    records: int
    turns: list[list[float]] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Return the median turn's median, in seconds."""
        return median(percentile(turn, 0.5) for turn in self.turns)

    def as_json(self) -> dict[str, Any]:
        every = [one for turn in self.turns for one in turn]
        return {
            "usage_records": self.records,
            "p50_ms": round(self.p50 * 1000, 3),
            "p95_ms": round(percentile(every, 0.95) * 1000, 3),
            "n": len(every),
            "turns_p50_ms": [round(percentile(turn, 0.5) * 1000, 3) for turn in self.turns],
        }


MOST: float = 1.1
"""How many times as long a hold may take with many records."""


def ratio(holds: list[Hold]) -> float:
    """Return how many times as long a hold takes with many records as with few: the median over the pairs of turns."""
    few, many = sorted(holds, key=lambda one: one.records)
    pairs = zip(few.turns, many.turns, strict=True)
    return median(percentile(more, 0.5) / percentile(less, 0.5) for less, more in pairs)


def percentile(seconds: list[float], share: float) -> float:
    """Return what this share of them stayed below."""
    every = sorted(seconds)
    return every[min(len(every) - 1, int(len(every) * share))] if every else float("nan")


def show(measures: list[Measure], holds: list[Hold], broken: list[str], about: dict[str, str]) -> None:
    """Print everything."""
    print()
    print(" · ".join(f"{name} {value}" for name, value in about.items()))
    if measures:
        print(f"\n{'':66}{'target':>8}{'p50 ms':>10}{'p95 ms':>10}{'n':>7}")
    for place in dict.fromkeys(one.place for one in measures):
        print(place)
        for one in measures:
            if one.place == place:
                _line(one)
    if holds:
        _holds(holds)
    print("the laws of the ledger hold" if not broken else "\n".join(broken))


def _line(one: Measure) -> None:
    times = f"{percentile(one.seconds, 0.5) * 1000:10.2f}{percentile(one.seconds, 0.95) * 1000:10.2f}"
    failed = f"  {one.failures} FAILED" if one.failures else ""
    print(
        f"  {one.name:64}{one.target_ms:8.0f}{times}{len(one.seconds):7}  {'met' if one.is_met else 'NOT MET'}{failed}"
    )


def _holds(holds: list[Hold]) -> None:
    print("\nA hold, placed in turns in both databases")
    for one in holds:
        found = one.as_json()
        print(
            f"  {one.records:>12,} usage records: p50 {found['p50_ms']:.2f} ms, p95 {found['p95_ms']:.2f} ms, n {found['n']}"
        )
    times = ratio(holds)
    print(f"  {times:.3f} times as long, at most {MOST}: {'met' if times <= MOST else 'NOT MET'}")
