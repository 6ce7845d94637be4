"""Chart geometry: what is drawn is what was given, for figures from a millionth to a trillion."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_portal.dashboards import charts

TODAY = date(2026, 11, 20)


@dataclass(frozen=True)
class Line:
    label: str
    values: list[Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.values, Decimal(0))


def last_days(count: int) -> list[date]:
    return [TODAY - timedelta(days=back) for back in range(count - 1, -1, -1)]


def chart_of(*lines: Line, days: int | None = None) -> charts.StackedBars:
    return charts.stacked_bars(
        title="Credits",
        days=last_days(days or len(lines[0].values)),
        series=lines,
        total=sum((line.total for line in lines), Decimal(0)),
        today=TODAY,
    )


def bottom(segment: charts.Segment) -> Decimal:
    return Decimal(segment.y) + Decimal(segment.height)


class TestStackedBars:
    def test_stacks_series_upwards_from_the_axis_without_overlap(self):
        chart = chart_of(Line("a", [Decimal(10)]), Line("b", [Decimal(30)]), Line("c", [Decimal(60)]))
        first, second, third = chart.columns[0].segments
        assert charts.BASELINE - 1 <= bottom(first) <= charts.BASELINE
        assert Decimal(second.y) < bottom(second) <= Decimal(first.y)
        assert Decimal(third.y) < bottom(third) <= Decimal(second.y)

    def test_draws_heights_in_proportion_to_the_figures(self):
        chart = chart_of(Line("a", [Decimal(1000), Decimal(4000)]))
        small, large = (Decimal(column.segments[0].height) + 1 for column in chart.columns)
        assert abs(large / small - 4) < Decimal("0.01")

    def test_keeps_every_figure_whole_beside_the_picture(self):
        values = [Decimal("0.000001"), Decimal("123456789.123456")]
        chart = chart_of(Line("a", values))
        assert [column.values[0] for column in chart.columns] == values
        assert chart.total == Decimal("123456789.123457")

    def test_draws_nothing_for_a_day_below_zero_but_says_it(self):
        chart = chart_of(Line("a", [Decimal(-5), Decimal(10)]))
        assert chart.columns[0].segments == ()
        assert chart.columns[0].total == Decimal(-5)

    def test_a_day_of_nothing_has_a_column_to_point_at(self):
        chart = chart_of(Line("a", [Decimal(0), Decimal(3)]))
        assert chart.columns[0].segments == ()
        assert chart.columns[0].width == "50.00%"

    def test_refuses_a_sixth_series(self):
        with pytest.raises(ValueError, match="5 series at most"):
            chart_of(*[Line(str(n), [Decimal(1)]) for n in range(6)])

    def test_says_the_finding_in_words(self):
        chart = chart_of(Line("gpt-5", [Decimal(1), Decimal(7)]), Line("llama", [Decimal(1), Decimal(1)]))
        assert chart.finding.startswith(
            "10 credits in 2 days, most on 20 November: 8. gpt-5 has the largest part, 80.0%."
        )

    def test_says_that_nothing_was_used(self):
        assert chart_of(Line("a", [Decimal(0)])).finding == "No credits used in 1 days."

    @pytest.mark.parametrize("days", [1, 7, 30, 90])
    def test_labels_the_last_day_and_about_seven_in_all(self, days: int):
        labels = chart_of(Line("a", [Decimal(1)] * days)).day_labels
        assert labels[0].text == "Today"
        assert labels[0].is_today
        assert not labels[0].is_minor
        assert len(labels) <= 8

    @given(st.lists(st.decimals(min_value=-1000, max_value=10**12, places=6), min_size=1, max_size=40))
    def test_never_draws_outside_its_frame(self, values: list[Decimal]):
        chart = chart_of(Line("a", values), Line("b", values))
        for column in chart.columns:
            assert all(
                Decimal(one.y) >= charts.TOP and bottom(one) <= charts.BASELINE + 1 for one in column.segments
            )
        assert Decimal(chart.columns[-1].x[:-1]) + Decimal(chart.columns[-1].width[:-1]) <= Decimal("100.02")


class TestAxis:
    @given(st.decimals(min_value="0.000001", max_value=10**15, places=6))
    def test_reaches_above_the_highest_figure_in_few_round_steps(self, highest: Decimal):
        ticks = charts.axis_ticks(highest)
        assert ticks[0] == 0
        assert ticks[-1] >= highest > ticks[-2]
        assert 4 <= len(ticks) <= 6
        assert ticks[-1] <= highest * Decimal("1.5")

    def test_has_an_axis_where_nothing_was_used(self):
        assert charts.axis_ticks(Decimal(0)) == [0, 1]

    @pytest.mark.parametrize(
        ("value", "text"),
        [("0", "0"), ("0.002", "0.002"), ("750", "750"), ("2500", "2.5k"), ("1000000", "1M"), ("5e12", "5T")],
    )
    def test_labels_are_short(self, value: str, text: str):
        assert charts.compact(Decimal(value)) == text


class TestSparkline:
    def test_spans_its_box(self):
        spark = charts.sparkline([Decimal(0), Decimal(5), Decimal(10)], label="Use")
        assert spark is not None
        assert spark.line == "M0.00 36.00 L50.00 20.00 L100.00 4.00"
        assert spark.area.endswith("L100 40 L0 40 Z")

    def test_is_flat_where_nothing_changes(self):
        spark = charts.sparkline([Decimal(3), Decimal(3)], label="Use")
        assert spark is not None
        assert spark.line == "M0.00 36.00 L100.00 36.00"

    def test_needs_two_points(self):
        assert charts.sparkline([Decimal(3)], label="Use") is None


class TestShareBar:
    def test_puts_parts_side_by_side(self):
        bar = charts.share_bar([("sA", Decimal(25)), ("sB", Decimal(50))], whole=Decimal(100), label="Shares")
        assert [(part.css_class, part.x, part.width) for part in bar.parts] == [
            ("sA", "0.00%", "24.50%"),
            ("sB", "25.00%", "49.50%"),
        ]

    def test_draws_nothing_of_nothing(self):
        assert charts.share_bar([("sA", Decimal(1))], whole=Decimal(0), label="Shares").parts == ()

    def test_leaves_out_what_is_below_zero(self):
        bar = charts.share_bar([("sA", Decimal(-5)), ("sB", Decimal(10))], whole=Decimal(10), label="Shares")
        assert [part.css_class for part in bar.parts] == ["sB"]
