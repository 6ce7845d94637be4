"""The report for people: one table a place, and every target beside what was measured."""

from typing import Final

from bench.figures import Row, Series
from bench.plan import SCENARIOS, TARGETS, Target
from bench.runs import Found

_TITLES: Final = {
    "process": "In process (2 processes x threads)",
    "http": "Over HTTP, every request with its key (gunicorn, 2 workers x 8 threads)",
    "pgbench": "The limit: least.sql by pgbench (p50 is the mean)",
}
_AGAINST: Final = {
    "textbook": "times textbook, at least",
    "least": "times pgbench's least SQL, at least",
    "second": "charges a second, at least",
    "lone": "a lone client's p50 in textbook's, at most",
}
_HEAD: Final = f"{'':26}{'clients':>8}{'a second':>11}{'ratio':>8}{'p50 ms':>10}{'p99 ms':>10}"


def show(found: Found, about: dict[str, str]) -> None:
    """Print everything."""
    print()
    print(" · ".join(f"{name} {value}" for name, value in about.items()))
    for place, title in _TITLES.items():
        rows = [row for row in found.rows if row.place == place]
        if rows:
            print(f"\n{title}\n{_HEAD}")
            _table(rows)
    for row in found.half_load:
        print(
            f"\nAt half of each side's highest load, sent at a fixed rate over HTTP ({row.clients} connections)"
        )
        print(_HEAD)
        _sides(row)
    _notes(found)


def _table(rows: list[Row]) -> None:
    for name in dict.fromkeys(row.scenario for row in rows):
        print(SCENARIOS[name].title)
        for row in rows:
            if row.scenario == name:
                _sides(row)


def _sides(row: Row) -> None:
    for name, series in row.sides.items():
        print(
            f"  {name:24}{row.clients:8}{series.rate:11,.0f}{_ratio(row, name):>8}{_times(series)}{_extra(series)}"
        )


def _ratio(row: Row, side: str) -> str:
    ratio = row.ratio(side)
    return "" if side == "textbook" or ratio is None else f"{ratio:.2f}"


def _times(series: Series) -> str:
    return f"{series.percentile(0.5):10.2f}{series.percentile(0.99):10.2f}"


def _extra(series: Series) -> str:
    """Return what is worth a remark: failures, and what the generator itself took of a core."""
    cpu = f"  generator {series.cpu:.0%} of a core" if series.cpu is not None else ""
    return cpu + (f"  {series.failures} FAILED" if series.failures else "")


def _notes(found: Found) -> None:
    measured = {row.scenario for row in found.rows}
    print()
    for note in [SCENARIOS[name].note for name in SCENARIOS if name in measured] + found.notes:
        if note:
            print(f"- {note}")
    print("the laws of the ledger hold" if not found.violations else "\n".join(found.violations))
    lines = [line for target in TARGETS if (line := _target(found, target)) is not None]
    if lines:
        print(f"\n{'Targets':54}{'target':>10}{'measured':>10}{'clients':>9}")
        print("\n".join(lines))


def _target(found: Found, target: Target) -> str | None:
    """Say what is aimed at and what the best number of clients gave; None where this run did not measure it."""
    measured = {
        row.clients: _measured(found, row, target) for row in _rows(found, target.place, target.scenario)
    }
    values = {clients: value for clients, value in measured.items() if value is not None}
    if not values:
        return None
    lone = target.against == "lone"
    clients, value = min(values.items()) if lone else max(values.items(), key=lambda one: one[1])
    reached = value <= target.bound if lone else value >= target.bound
    name = f"{target.place} {target.scenario}, {_AGAINST[target.against]}"
    places = 0 if target.against == "second" else 2
    return (
        f"{name:54}{target.bound:10,.{places}f}{value:10,.{places}f}{clients:9}"
        f"  {'reached' if reached else 'NOT reached'}"
    )


def _measured(found: Found, row: Row, target: Target) -> float | None:
    """Return the figure of this row that the target bounds."""
    ours = row.sides["ours"]
    if target.against == "second":
        return ours.rate
    if target.against == "lone":
        return ours.percentile(0.5) / row.sides["textbook"].percentile(0.5) if row.clients == 1 else None
    if target.against == "textbook":
        return row.ratio("ours") if row.clients > 1 else None
    least = [one for one in _rows(found, "pgbench", target.scenario) if one.clients == row.clients]
    return ours.rate / least[0].sides["least"].rate if least and row.clients > 1 else None


def _rows(found: Found, place: str, scenario: str) -> list[Row]:
    return [row for row in found.rows if (row.place, row.scenario) == (place, scenario)]
