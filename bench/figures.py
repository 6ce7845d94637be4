"""What was measured, and the few numbers that are made of it."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Sample:
    """One side's turn of one scenario: what its clients did in `seconds`."""

    seconds: float
    charges: float
    """Charges (pairs, where a hold is captured); of what was under way at the end, the part that lay before it."""
    latencies: list[float]
    """Seconds each operation took: a charge, a pair, or a whole batch."""
    failures: int = 0
    cpu: float | None = None
    """Of one core, what the load generator took itself; None where clients and charges share a process."""

    @property
    def rate(self) -> float:
        """Charges a second."""
        return self.charges / self.seconds


def within(begun: float, done: float, end: float) -> float:
    """Return which part of an operation lay before the end: a batch may take longer than a turn."""
    return 1.0 if done <= end else max(end - begun, 0.0) / (done - begun)


@dataclass(slots=True)
class Series:
    """All turns of one side at one number of clients."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median turn's charges a second."""
        return median(sample.rate for sample in self.samples)

    @property
    def failures(self) -> int:
        return sum(sample.failures for sample in self.samples)

    @property
    def cpu(self) -> float | None:
        found = [sample.cpu for sample in self.samples if sample.cpu is not None]
        return median(found) if found else None

    def percentile(self, share: float) -> float:
        """Return the milliseconds that this share of the operations stayed below."""
        every = sorted(one for sample in self.samples for one in sample.latencies)
        return every[min(len(every) - 1, int(len(every) * share))] * 1000 if every else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Return the figures by name: rates a second, times in milliseconds."""
        return {
            "per_second": round(self.rate, 1),
            "turns_per_second": [round(sample.rate, 1) for sample in self.samples],
            "p50_ms": round(self.percentile(0.5), 3),
            "p99_ms": round(self.percentile(0.99), 3),
            "failures": self.failures,
            "generator_cpu": None if self.cpu is None else round(self.cpu, 3),
        }


@dataclass(slots=True)
class Row:
    """One line of the report: a scenario at a number of clients, with every side that took part."""

    place: str
    scenario: str
    clients: int
    sides: dict[str, Series]

    def ratio(self, side: str) -> float | None:
        """Return how many times the textbook's rate a side had; None where it had no opponent."""
        opponent = self.sides.get("textbook")
        return self.sides[side].rate / opponent.rate if opponent is not None and opponent.rate else None

    def as_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "scenario": self.scenario,
            "clients": self.clients,
            "sides": {name: series.as_json() for name, series in self.sides.items()},
            "ratio": {name: self.ratio(name) for name in self.sides if name != "textbook"},
        }
