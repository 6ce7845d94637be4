"""What is compared: scenarios, the sides that take part, and where. Values only, without Django."""

from dataclasses import dataclass
from typing import Final

PLACES: Final = ("process", "http", "pgbench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of charging. `sides` take their turns in this order, again and again."""

    title: str
    sides: tuple[str, ...] = ("textbook", "ours")
    http_sides: tuple[str, ...] = ("textbook", "ours")
    most_clients: int = 64
    note: str = ""


SCENARIOS: Final = {
    "spread": Scenario(
        title="charges over all allocations",
        sides=("textbook", "ours", "counted"),
        note="counted: ours again, for organizations on a plan with a finite quota (two more rows, shared by the "
        "members of each); the textbook counts none in any turn",
    ),
    "hot": Scenario(title="charges on one allocation"),
    "pairs": Scenario(
        title="hold + capture over all allocations",
        note="the textbook has no holds: a pair of ours, two requests, stands against one charge of the textbook",
    ),
    "batches": Scenario(
        title="batches of 1,000 charges over all allocations",
        most_clients=16,  # 64 would have 64,000 charges under way
        note="charges a second; p50 and p99 of ours are of a whole batch, the textbook sends single charges",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure that is aimed at: so many times an opponent's rate at the same number of clients, or charges a second."""

    place: str
    scenario: str
    bound: float
    against: str = "textbook"
    """`textbook`, `least` (pgbench), `lone` (a lone client's p50 in textbook's, at most), or `second` for a plain rate."""


TARGETS: Final = (
    Target(place="process", scenario="spread", bound=8.0),
    Target(place="process", scenario="hot", bound=16.0),
    Target(place="process", scenario="spread", bound=0.7, against="least"),
    Target(place="process", scenario="hot", bound=3.0, against="least"),
    Target(place="process", scenario="batches", bound=20_000, against="second"),
    Target(place="http", scenario="batches", bound=10_000, against="second"),
    Target(place="http", scenario="spread", bound=4.0),
    Target(place="process", scenario="spread", bound=1.2, against="lone"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What this run was asked for."""

    scenarios: list[str]
    places: list[str]
    clients: list[int]
    seconds: float
    turns: int
    organizations: int
