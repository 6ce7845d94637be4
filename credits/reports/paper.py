"""Paper: A4 pages in the look of the portal, and what reports put on them. Not for: what a report says.

Fonts lie beside this file: Inter as on screen, DejaVu for the scripts that it lacks; a letter that neither has is "?".
Millimetres from the top left corner; the cursor stands where the next part begins.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.formats import date_format
from fontTools.ttLib import TTFont
from fpdf import FPDF

from credits import amounts
from credits.amounts import ZERO
from credits.reports.series import DailySeries

_FONTS: Final = Path(__file__).parent / "fonts"
TEXT: Final = (23, 24, 28)
MUTED: Final = (85, 88, 98)
_LINE: Final = (232, 231, 228)
_SOFT: Final = (246, 246, 244)
_SERIES: Final = ((75, 67, 209), (58, 134, 207), (22, 148, 128), (192, 122, 18), (133, 138, 151))
LEFT: Final = 18.0
WIDTH: Final = 174.0
_BOTTOM: Final = 20.0
_ROW: Final = 6.6
_BARS: Final = 42.0
_AXIS: Final = 12.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    head: str
    width: float
    align: str = "R"


class Paper(FPDF):
    """Pages with a footer; `made` says when and of which time zone."""

    def __init__(self, *, title: str, made: str, made_at: datetime) -> None:
        super().__init__(format="A4")
        self.made = made
        for style, file in (("", "inter-regular.ttf"), ("B", "inter-semibold.ttf")):
            self.add_font("Inter", style, _FONTS / file)
        self.add_font("DejaVu", "", _FONTS / "dejavu.ttf")
        self.set_fallback_fonts(["DejaVu"], exact_match=False)
        self.set_margins(LEFT, 16, LEFT)
        self.set_auto_page_break(auto=True, margin=_BOTTOM)
        self.set_title(title)
        self.set_creator(settings.PORTAL_NAME)
        self.set_creation_date(made_at)
        self.alias_nb_pages()
        self.add_page()

    def footer(self) -> None:
        """Write what every page ends with; fpdf2 calls it."""
        self.set_y(-14)
        self.use(8, MUTED)
        self.cell(WIDTH - 30, 5, f"{printable(settings.PORTAL_NAME)} · {self.made}")
        self.cell(30, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def use(self, size: float, color: tuple[int, int, int], style: str = "") -> None:
        """Write what follows in this size and colour."""
        self.set_font("Inter", style, size)
        self.set_text_color(*color)

    def say(
        self, text: str, *, size: float = 9, color: tuple[int, int, int] = MUTED, style: str = ""
    ) -> None:
        """Write a paragraph."""
        self.use(size, color, style)
        self.multi_cell(0, size * 0.47, printable(text), new_x="LMARGIN", new_y="NEXT")

    def title_of(self, text: str) -> None:
        """Write the title of a part."""
        self.use(12, TEXT, "B")
        self.cell(0, 7, text, new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def room(self, height: float) -> None:
        """Begin a new page where what comes would be torn apart."""
        if self.get_y() + height > self.h - _BOTTOM:
            self.add_page()

    def tiles(self, figures: Sequence[tuple[str, str]]) -> None:
        """Write key figures beside each other."""
        top, gap = self.get_y(), 4.0
        width = (WIDTH - (len(figures) - 1) * gap) / len(figures)
        self.set_draw_color(*_LINE)
        for at, (label, figure) in enumerate(figures):
            left = LEFT + at * (width + gap)
            self.rect(left, top, width, 19, style="D", round_corners=True, corner_radius=2.5)
            self.set_xy(left + 3.5, top + 3)
            self.use(8, MUTED)
            self.cell(width - 7, 4, label)
            self.set_xy(left + 3.5, top + 8.5)
            self.use(15 if len(figure) < 12 else 10, TEXT, "B")
            self.cell(width - 7, 7, figure)
        self.set_xy(LEFT, top + 26)

    def rows_of(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, strong: Collection[int] = ()
    ) -> None:
        """Write a table whose head comes again on every page; `strong` are the numbers of its bold rows."""
        self._heads(columns)
        for at, row in enumerate(rows):
            if self.get_y() + _ROW > self.h - _BOTTOM:
                self.add_page()
                self._heads(columns)
            self.use(9, TEXT, "B" if at in strong else "")
            for column, text in zip(columns, row, strict=True):
                self.cell(column.width, _ROW, self._fitted(printable(text), column.width), align=column.align)
            self.ln(_ROW)
            self.set_draw_color(*_LINE)
            self.line(LEFT, self.get_y(), LEFT + WIDTH, self.get_y())
        self.ln(7)

    def chart(self, found: DailySeries) -> None:
        """Draw use by day as stacked bars, with its legend."""
        self._legend(found)
        top = self.get_y() + 3
        days = range(len(found.days))
        highest, steps = _scale(
            max(sum((max(one.values[at], ZERO) for one in found.series), ZERO) for at in days)
        )
        self._grid(top, highest, steps)
        self._bars(found, top + _BARS, highest)
        self.set_xy(LEFT, top + _BARS + 9)

    def _heads(self, columns: Sequence[Column]) -> None:
        self.set_fill_color(*_SOFT)
        self.use(8, MUTED)
        for column in columns:
            self.cell(column.width, _ROW, printable(column.head), align=column.align, fill=True)
        self.ln(_ROW)

    def _legend(self, found: DailySeries) -> None:
        self.use(8, MUTED)
        for number, one in enumerate(found.series):
            label = self._fitted(f"{printable(one.label)}  {short(one.total)}", WIDTH - 10)
            width = self.get_string_width(label) + 9
            if self.get_x() + width > LEFT + WIDTH:
                self.ln(5)
            x, y = self.get_x() + 0.5, self.get_y() + 1.2
            self.set_fill_color(*_SERIES[number])
            self.rect(x, y, 2.6, 2.6, style="F", round_corners=True, corner_radius=0.8)
            self.set_x(x + 3.5)
            self.cell(width - 4, 5, label)
        self.ln(5)

    def _grid(self, top: float, highest: Decimal, steps: int) -> None:
        self.set_draw_color(*_LINE)
        self.use(7, MUTED)
        for at in range(steps + 1):
            y = top + _BARS - _BARS * at / steps
            self.line(LEFT + _AXIS, y, LEFT + WIDTH, y)
            self.set_xy(LEFT, y - 2)
            self.cell(_AXIS - 2, 4, _tick(highest * at / steps), align="R")

    def _bars(self, found: DailySeries, floor: float, highest: Decimal) -> None:
        step = min((WIDTH - _AXIS) / len(found.days), 14.0)
        for at, day in enumerate(found.days):
            left, y = LEFT + _AXIS + at * step, floor
            for number, one in enumerate(found.series):
                part = float(max(one.values[at], ZERO) / highest) * _BARS
                self.set_fill_color(*_SERIES[number])
                self.rect(left + step * 0.19, y - part, step * 0.62, part, style="F")
                y -= part
            if at % 5 == 0:
                self.set_xy(left + step / 2 - 6, floor + 1)
                self.cell(12, 4, date_format(day, "j M"), align="C")

    def _fitted(self, text: str, width: float) -> str:
        """Return the text, cut to what the cell has room for."""
        if self.get_string_width(text) <= width - 2:
            return text
        while text and self.get_string_width(f"{text}…") > width - 2:
            text = text[:-1]
        return f"{text}…"


def short(credits: Decimal | None) -> str:
    """Return an amount with two decimals at most; a dash where there is none to speak of."""
    return "\N{EN DASH}" if credits is None else _signed(amounts.display_short(credits))


def whole(credits: Decimal) -> str:
    """Return an amount with all its decimals."""
    return _signed(amounts.display(credits))


def printable(text: str) -> str:
    """Return the text with "?" for letters that no font has."""
    return "".join(one if ord(one) in _letters() else "?" for one in text)


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _tick(value: Decimal) -> str:
    return amounts.display(value) if value < 10_000 else f"{amounts.display(value / 1000)}k"


def _scale(highest: Decimal) -> tuple[Decimal, int]:
    """Return a round figure at or above the highest bar, and into how many steps it divides."""
    if highest <= 0:
        return Decimal(1), 1
    size = Decimal(1).scaleb(highest.adjusted())
    first = (highest / size).to_integral_value(rounding=ROUND_CEILING)
    return first * size, next(steps for steps in (5, 4, 3, 2, 1) if first % steps == 0)


@cache
def _letters() -> frozenset[int]:
    fonts = (TTFont(_FONTS / name) for name in ("inter-regular.ttf", "dejavu.ttf"))
    return frozenset(code for font in fonts for code in font.getBestCmap())
