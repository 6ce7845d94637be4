"""A run: every wanted scenario in every wanted place, the sides taking turns, the laws proved after each scenario."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.db import connection, connections

from bench import clients, least, scripts, server, traffic, world
from bench.clients import Crew
from bench.figures import Row, Sample, Series
from bench.plan import SCENARIOS, Wanted
from bench.spots import World
from bench.work import BATCH
from billing_portal.embedded.places import Instance
from credits.ledger import reconcile

Turn = Callable[[str], Sample]
_WARM_UP: Final = 0.5
"""Seconds that HTTP clients of each side send before they are measured: every server thread opens its connection."""
_WARM_UPS: Final = 8
"""Batches over everybody, each on a connection of its own: hardly ever do all of them meet the same of two workers."""


@dataclass(slots=True)
class Found:
    """Everything that a run found."""

    rows: list[Row] = field(default_factory=list)
    half_load: list[Row] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether all laws hold and nothing failed on our side."""
        ours = [
            s for row in [*self.rows, *self.half_load] for name, s in row.sides.items() if name != "textbook"
        ]
        return not self.violations and not any(series.failures for series in ours)

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": [row.as_json() for row in self.rows],
            "half_load": [row.as_json() for row in self.half_load],
            "violations": self.violations,
            "notes": self.notes,
        }


def run(wanted: Wanted, *, instance: Instance, port: int, folder: Path) -> Found:
    """Fill the database and measure what is wanted."""
    found = Found()
    print("bench: migrating and filling the tables", flush=True)
    made = world.make(organizations=wanted.organizations)
    connections.close_all()
    if "process" in wanted.places:
        with clients.crew(made) as crew:
            for row in _in_process(wanted, crew, found):
                _note(found, row)
    if "http" in wanted.places:
        with server.serving(port=port, log=folder / "gunicorn.log"):
            for row in _over_http(wanted, made, port, found):
                _note(found, row)
            if "spread" in wanted.scenarios:
                found.half_load = [_at_half(wanted, made, port, found)]
    if "pgbench" in wanted.places:
        for row in _by_pgbench(wanted, instance, made, found):
            _note(found, row)
    return found


def _note(found: Found, row: Row) -> None:
    found.rows.append(row)
    rates = ", ".join(f"{name} {series.rate:,.0f}/s" for name, series in row.sides.items())
    print(f"bench: {row.place} · {row.scenario} · {row.clients} clients: {rates}", flush=True)


def _in_process(wanted: Wanted, crew: Crew, found: Found) -> Iterator[Row]:
    for name in wanted.scenarios:
        for number in _clients(wanted, name):

            def turn(side: str, name: str = name, number: int = number) -> Sample:
                return crew.run(scenario=name, side=side, clients=number, seconds=wanted.seconds)

            yield Row("process", name, number, _take_turns(SCENARIOS[name].sides, wanted.turns, turn))
        _prove(found, name)


def _over_http(wanted: Wanted, made: World, port: int, found: Found) -> Iterator[Row]:
    for _ in range(_WARM_UPS):
        load = traffic.Load(port=port, connections=1, seconds=0.01, charges=BATCH)
        if traffic.run(load, scripts.warm_up(made)).failures:
            raise SystemExit("bench: the portal refuses a batch, see above")
    for name in wanted.scenarios:
        for number in _clients(wanted, name):

            def turn(side: str, name: str = name, number: int = number) -> Sample:
                return _send(made, name, side, port=port, clients=number, seconds=wanted.seconds)

            for side in SCENARIOS[name].http_sides:
                _send(made, name, side, port=port, clients=number, seconds=min(_WARM_UP, wanted.seconds))
            yield Row("http", name, number, _take_turns(SCENARIOS[name].http_sides, wanted.turns, turn))
        _prove(found, name)


def _at_half(wanted: Wanted, made: World, port: int, found: Found) -> Row:
    """Send each side half of the most that it answered, at a fixed rate."""
    rows = [row for row in found.rows if row.place == "http" and row.scenario == "spread"]
    most = {side: max(row.sides[side].rate for row in rows) for side in SCENARIOS["spread"].http_sides}
    number = max(wanted.clients)

    def turn(side: str) -> Sample:
        rate = max(most[side] / 2, 1.0)
        return _send(made, "spread", side, port=port, clients=number, seconds=2 * wanted.seconds, rate=rate)

    return Row("http", "half", number, _take_turns(tuple(most), wanted.turns, turn))


def _by_pgbench(wanted: Wanted, instance: Instance, made: World, found: Found) -> Iterator[Row]:
    if least.program() is None:
        found.notes.append("pgbench is not in this PostgreSQL's wheel: least.sql was not run")
        return
    for name in [name for name in wanted.scenarios if name in ("spread", "hot")]:
        for number in _clients(wanted, name):

            def turn(side: str, hot: bool = name == "hot", number: int = number) -> Sample:  # noqa: FBT001
                return least.run(instance, made, hot=hot, clients=number, seconds=wanted.seconds)

            yield Row("pgbench", name, number, _take_turns(("least",), 1, turn))


def _clients(wanted: Wanted, name: str) -> list[int]:
    return [number for number in wanted.clients if number <= SCENARIOS[name].most_clients]


def _send(
    made: World, name: str, side: str, *, port: int, clients: int, seconds: float, rate: float | None = None
) -> Sample:
    charges = BATCH if name == "batches" and side == "ours" else 1
    load = traffic.Load(port=port, connections=clients, seconds=seconds, charges=charges, rate=rate)
    return traffic.run(load, scripts.scripts(name, side, made))


def _take_turns(sides: tuple[str, ...], turns: int, turn: Turn) -> dict[str, Series]:
    """Let the sides alternate, so that what else the machine does hits all of them."""
    series = {side: Series() for side in sides}
    for _ in range(turns):
        for side in sides:
            series[side].samples.append(turn(side))
    return series


def _prove(found: Found, name: str) -> None:
    """Prove the laws of the ledger on everything that was charged so far."""
    violations = [str(one) for one in reconcile.prove_all()]
    connection.close()
    found.violations += violations
    print(f"bench: {name}: {'laws hold' if not violations else f'{len(violations)} LAWS BROKEN'}", flush=True)
