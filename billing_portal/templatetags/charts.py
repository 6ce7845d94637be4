"""Charts as tags: each draws a geometry of `billing_portal.dashboards.charts` as SVG."""

from django import template
from django.utils import timezone

from billing_portal.dashboards import charts
from billing_portal.dashboards.charts import BASELINE, TICK_LABEL_AT, TOP, ShareBar, Sparkline, StackedBars
from credits.reports.series import DailySeries

register = template.Library()


@register.inclusion_tag("components/charts/stacked_bars.svg.html")
def stacked_bars(chart: StackedBars, anchor: str, first_head: str = "Day") -> dict[str, object]:
    """Draw one column a day, its legend and its table; `anchor` makes the ids of the page unique."""
    return {
        "chart": chart,
        "anchor": anchor,
        "first_head": first_head,
        "top": TOP,
        "height": BASELINE - TOP,
        "label_y": TICK_LABEL_AT,
    }


@register.inclusion_tag("components/charts/stacked_bars.svg.html")
def bars_of(found: DailySeries, title: str, unit: str, anchor: str) -> dict[str, object]:
    """Draw use over time as a report gives it; "Today" is that of the active time zone."""
    chart = charts.stacked_bars(
        title=title,
        days=found.days,
        series=found.series,
        total=found.total,
        today=timezone.localdate(),
        unit=unit,
    )
    return stacked_bars(chart, anchor, "Day" if unit == "day" else f"{unit.capitalize()} from")


@register.inclusion_tag("components/charts/sparkline.svg.html")
def sparkline(spark: Sparkline | None) -> dict[str, object]:
    """Draw a line without axes; nothing where there is no line."""
    return {"spark": spark}


@register.inclusion_tag("components/charts/share_bar.svg.html")
def share_bar(bar: ShareBar) -> dict[str, object]:
    """Draw parts of a whole side by side."""
    return {"bar": bar}
