"""Chart geometry: numbers in, frozen dataclasses out. The SVG is drawn by `templates/components/charts/`.

Across is percent and down is pixels, so that a chart stretches with its card while its text keeps its size; no
`style=` is needed under the strict CSP. Not for: deciding what a chart shows, or formatting amounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from itertools import accumulate
from typing import Final, Protocol

from django.utils.formats import date_format

from credits import amounts

TOP: Final = 10
BASELINE: Final = 340
TICK_LABEL_AT: Final = BASELINE + 20
MOST_SERIES: Final = 5
_BAR_SHARE: Final = Decimal("0.62")
_STEPS: Final = tuple(Decimal(step) for step in ("0.1", "0.2", "0.25", "0.5", "1", "2", "2.5", "5"))
_SUFFIXES: Final = (
    (Decimal("1e12"), "T"),
    (Decimal("1e9"), "B"),
    (Decimal("1e6"), "M"),
    (Decimal("1e3"), "k"),
)


class SeriesValues(Protocol):
    """One line of the legend: what `credits.reports.usage.Series` is."""

    @property
    def label(self) -> str: ...
    @property
    def values(self) -> Sequence[Decimal]: ...
    @property
    def total(self) -> Decimal: ...


@dataclass(frozen=True)
class Segment:
    """One series' part of a column; `series` is 1 to 5 and picks the colour."""

    series: int
    y: str
    height: str


@dataclass(frozen=True)
class Column:
    """One day: its hit area, its bar, and the row of the table that says the same."""

    x: str
    width: str
    bar_x: str
    bar_width: str
    segments: tuple[Segment, ...]
    day: date
    values: tuple[Decimal, ...]
    total: Decimal


@dataclass(frozen=True)
class Gridline:
    y: str
    text_y: str
    label: str
    is_axis: bool


@dataclass(frozen=True)
class DayLabel:
    """A date below the axis; minor ones are hidden where the chart is narrow."""

    x: str
    text: str
    is_today: bool
    is_minor: bool


@dataclass(frozen=True)
class LegendItem:
    series: int
    label: str
    total: Decimal


@dataclass(frozen=True)
class StackedBars:
    """Credits a day, one column a day, at most five series."""

    title: str
    finding: str
    gridlines: tuple[Gridline, ...]
    columns: tuple[Column, ...]
    day_labels: tuple[DayLabel, ...]
    legend: tuple[LegendItem, ...]
    total: Decimal
    unit: str = "day"


@dataclass(frozen=True)
class Sparkline:
    line: str
    area: str
    label: str


@dataclass(frozen=True)
class SharePart:
    """A part of a share bar; `css_class` picks the colour."""

    css_class: str
    x: str
    width: str


@dataclass(frozen=True)
class ShareBar:
    parts: tuple[SharePart, ...]
    label: str


def stacked_bars(
    *,
    title: str,
    days: Sequence[date],
    series: Sequence[SeriesValues],
    total: Decimal,
    today: date,
    unit: str = "day",
) -> StackedBars:
    """Lay out one column a day, or a week or month, which `days` then holds the first days of.

    A day's figure can be below zero when more was reversed than spent: it draws nothing and stands in the table.
    """
    if len(series) > MOST_SERIES:
        raise ValueError(f"a chart has {MOST_SERIES} series at most, not {len(series)}: sum up the rest")
    day_totals = [sum((one.values[at] for one in series), Decimal(0)) for at in range(len(days))]
    heights = [
        sum((max(one.values[at], Decimal(0)) for one in series), Decimal(0)) for at in range(len(days))
    ]
    ticks = axis_ticks(max(heights, default=Decimal(0)))
    return StackedBars(
        title=title,
        finding=_finding(days, day_totals, series, total, unit),
        gridlines=tuple(_gridline(tick, ticks[-1]) for tick in ticks),
        columns=tuple(_column(at, days, series, day_totals[at], ticks[-1]) for at in range(len(days))),
        day_labels=_day_labels(days, today),
        legend=tuple(LegendItem(at, one.label, one.total) for at, one in enumerate(series, start=1)),
        total=total,
        unit=unit,
    )


def sparkline(values: Sequence[Decimal], *, label: str) -> Sparkline | None:
    """Lay out a line in a box of 100 by 40; None where there is no line to draw."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    spread = (high - low) or Decimal(1)
    points = [
        f"{_two(Decimal(100 * at) / (len(values) - 1))} {_two(36 - (value - low) / spread * 32)}"
        for at, value in enumerate(values)
    ]
    line = "M" + " L".join(points)
    return Sparkline(line=line, area=f"{line} L100 40 L0 40 Z", label=label)


def share_bar(parts: Sequence[tuple[str, Decimal]], *, whole: Decimal, label: str) -> ShareBar:
    """Lay out parts of a whole side by side; parts below zero or of nothing draw nothing."""
    widths = [max(part, Decimal(0)) / whole * 100 if whole > 0 else Decimal(0) for _, part in parts]
    starts = [Decimal(0), *accumulate(widths)]
    return ShareBar(
        parts=tuple(
            SharePart(css_class, _percent(start), _percent(max(width - Decimal("0.5"), Decimal("0.2"))))
            for (css_class, _), start, width in zip(parts, starts, widths, strict=False)
            if width > 0
        ),
        label=label,
    )


def axis_ticks(highest: Decimal) -> list[Decimal]:
    """Return round figures from 0 to just above `highest`: three to five steps, as little empty room as they allow."""
    if highest <= 0:
        return [Decimal(0), Decimal(1)]
    magnitude = Decimal(1).scaleb(highest.adjusted())
    steps = [factor * magnitude for factor in _STEPS]
    counts = [int((highest / step).to_integral_value(rounding=ROUND_CEILING)) for step in steps]
    fitting = [
        (step * count, count, step) for step, count in zip(steps, counts, strict=True) if 3 <= count <= 5
    ]
    _, count, step = min(fitting)
    return [step * at for at in range(count + 1)]


def compact(value: Decimal) -> str:
    """Return a figure of an axis in few characters: `2.5k`, `1M`, `0.002`."""
    for size, suffix in _SUFFIXES:
        if value >= size:
            return amounts.text(value / size) + suffix
    return amounts.text(value)


def _column(
    at: int, days: Sequence[date], series: Sequence[SeriesValues], total: Decimal, highest: Decimal
) -> Column:
    width = Decimal(100) / len(days)
    bar_width = width * _BAR_SHARE
    values = tuple(one.values[at] for one in series)
    return Column(
        x=_percent(at * width),
        width=_percent(width),
        bar_x=_percent(at * width + (width - bar_width) / 2),
        bar_width=_percent(bar_width),
        segments=_segments(values, highest),
        day=days[at],
        values=values,
        total=total,
    )


def _segments(values: Sequence[Decimal], highest: Decimal) -> tuple[Segment, ...]:
    tops = list(accumulate(max(value, Decimal(0)) for value in values))
    return tuple(
        # A pixel between neighbours keeps them apart for those who see few colours.
        Segment(
            series=at + 1,
            y=_pixels(_y(tops[at], highest) + Decimal("0.5")),
            height=_pixels(max(_y(tops[at] - value, highest) - _y(tops[at], highest) - 1, Decimal("0.5"))),
        )
        for at, value in enumerate(values)
        if value > 0
    )


def _gridline(tick: Decimal, highest: Decimal) -> Gridline:
    y = _y(tick, highest)
    return Gridline(y=_pixels(y), text_y=_pixels(y + 4), label=compact(tick), is_axis=tick == 0)


def _day_labels(days: Sequence[date], today: date) -> tuple[DayLabel, ...]:
    """Label about seven days, counted back from the last, so that it always has one."""
    width = Decimal(100) / (len(days) or 1)
    every = max(1, round(len(days) / 7))
    return tuple(
        DayLabel(
            x=_percent(at * width + width / 2),
            text="Today" if days[at] == today else date_format(days[at], "j M"),
            is_today=days[at] == today,
            is_minor=nth % 2 == 1,
        )
        for nth, at in enumerate(range(len(days) - 1, -1, -every))
    )


def _finding(
    days: Sequence[date],
    day_totals: Sequence[Decimal],
    series: Sequence[SeriesValues],
    total: Decimal,
    unit: str,
) -> str:
    """Say in words what the picture shows, for those who do not see it."""
    if total <= 0:
        return f"No credits used in {len(days)} {unit}s."
    highest = max(range(len(days)), key=lambda at: day_totals[at])
    first = max(series, key=lambda one: one.total)
    when = "on" if unit == "day" else f"in the {unit} from"
    return (
        f"{amounts.display(total)} credits in {len(days)} {unit}s, most {when} {date_format(days[highest], 'j F')}: "
        f"{amounts.display(day_totals[highest])}. {first.label} has the largest part, "
        f"{amounts.percentage(first.total, total)}%. Use the arrow keys to read each {unit}, or open the table below."
    )


def _y(value: Decimal, highest: Decimal) -> Decimal:
    return TOP + (BASELINE - TOP) * (1 - value / highest)


def _percent(value: Decimal) -> str:
    return f"{_two(value)}%"


def _two(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.01'), rounding=ROUND_HALF_UP):f}"


def _pixels(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.1'), rounding=ROUND_HALF_UP):f}"
