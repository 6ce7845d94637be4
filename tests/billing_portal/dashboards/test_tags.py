"""Components as tags: amounts keep every decimal, text from outside stays text."""

from decimal import Decimal

import pytest
from django.template import Context, Template

from billing_portal.dashboards import charts
from billing_portal.templatetags.ui import button_class


def drawn(source: str, **values: object) -> str:
    return Template("{% load amounts charts ui %}" + source).render(Context(values))


class TestAmounts:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("1234.500000", "1,234.5"),
            ("0.000001", "0.000001"),
            ("-1234567.1", "-1,234,567.1"),
            ("0", "0"),
            ("100", "100"),
        ],
    )
    def test_are_shown_whole_with_thousands_apart(self, value: str, text: str):
        assert drawn("{{ value|credits }}", value=Decimal(value)) == text

    def test_none_is_a_dash_and_not_a_zero(self):
        assert drawn("{{ value|credits }}{% amount value %}", value=None) == "\N{EN DASH}\N{EN DASH}"

    def test_in_lists_are_short_and_keep_the_whole_in_title_and_value(self):
        assert drawn("{% amount value %}", value=Decimal("1234.567891")) == (
            '<data value="1234.567891" title="1,234.567891">1,234.57</data>'
        )
        assert drawn("{% amount value %}", value=Decimal("1234.5")) == '<data value="1234.5">1,234.5</data>'

    def test_percentages_have_their_one_place(self):
        assert drawn("{{ value|percent }}", value=Decimal("72.8")) == "72.8%"


class TestComponents:
    def test_text_from_outside_is_escaped_wherever_it_lands(self):
        evil = "<script>alert(1)</script>"
        page = drawn(
            '{% avatar evil %}{% badge evil %}{% bar 5 evil %}{% card evil "a" sub=evil %}{{ evil }}{% endcard %}'
            '{% kpi evil evil %}{{ evil }}{% endkpi %}{% notice "ok" "check" %}{{ evil }}{% endnotice %}'
            '{% empty evil "inbox" %}{{ evil }}{% endempty %}',
            evil=evil,
        )
        assert "<script" not in page
        assert page.count("&lt;script&gt;") == 11

    def test_a_card_names_its_region_by_its_heading(self):
        page = drawn('{% card "Plan" "plan" %}inside{% endcard %}')
        assert 'aria-labelledby="plan"' in page
        assert '<h2 id="plan">Plan</h2>' in page
        assert "inside" in page

    def test_a_long_figure_is_set_smaller_and_so_are_many_decimals(self):
        assert '<p class="value num">30,420<span class="decimals">.512</span></p>' in drawn(
            '{% kpi "Used" "30,420.512" %}{% endkpi %}'
        )
        assert '<p class="value num">2.5</p>' in drawn('{% kpi "Used" "2.5" %}{% endkpi %}')
        assert "value--long" in drawn('{% kpi "Used" "1,234,567,890.123456" %}{% endkpi %}')

    @pytest.mark.parametrize("name", ["", "  ", "Żaneta"])
    def test_an_avatar_needs_no_name(self, name: str):
        assert "avatar" in drawn("{% avatar name %}", name=name)

    @pytest.mark.parametrize(
        ("tags", "classes"),
        [
            (None, "btn btn--primary"),
            (["prominent", "login"], "btn btn--primary"),
            (["danger", "delete", "panel"], "btn btn--bad"),
            (["outline", "cancel"], "btn btn--quiet"),
            (["secondary"], "btn"),
        ],
    )
    def test_buttons_of_allauth_look_like_what_they_do(self, tags: list[str] | None, classes: str):
        assert button_class(tags) == classes


class TestCharts:
    def test_nothing_is_drawn_where_there_is_no_line(self):
        assert drawn("{% sparkline spark %}", spark=None).strip() == ""

    def test_a_share_bar_says_in_words_what_it_shows(self):
        bar = charts.share_bar([("sA", Decimal(1))], whole=Decimal(2), label="Half <of> it")
        page = drawn("{% share_bar bar %}", bar=bar)
        assert 'aria-label="Half &lt;of&gt; it"' in page
        assert 'width="49.50%"' in page
