"""The report for people: one table a place, and what the issue expects beside what was found."""

from typing import Final

from bench.figures import Row, Series
from bench.plan import EXPECTED, SCENARIOS, Expected
from bench.runs import Found

_TITLES: Final = {
    "process": "In process (2 processes x threads)",
    "http": "Over HTTP, every request with its key (gunicorn, 2 workers x 8 threads)",
    "pgbench": "The limit: least.sql by pgbench (p50 is the mean)",
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
    for expected in EXPECTED:
        for line in _expectation(found, expected):
            print(line)
    print("the laws of the ledger hold" if not found.violations else "\n".join(found.violations))


def _expectation(found: Found, expected: Expected) -> list[str]:
    """Say what was expected of a scenario, at its lone client or at the best of the others."""
    rows = [row for row in found.rows if (row.place, row.scenario) == (expected.place, expected.scenario)]
    rows = [row for row in rows if (row.clients == 1) == expected.lone and "textbook" in row.sides]
    if not rows:
        return []
    if expected.lone:
        value = rows[0].sides["ours"].percentile(0.5) / rows[0].sides["textbook"].percentile(0.5)
        name, met = f"a lone client's p50, at most {expected.bound} x textbook's", value <= expected.bound
    else:
        value = max(row.ratio("ours") or 0.0 for row in rows)
        name, met = (
            f"{expected.place} {expected.scenario}, at least {expected.bound} x textbook",
            value >= expected.bound,
        )
    return [f"{'as expected ' if met else 'NOT EXPECTED'}  {name}: {value:.2f}"]
