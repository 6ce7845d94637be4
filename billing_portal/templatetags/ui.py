"""The components of templates/components/ as tags. Each renders its template; nothing here decides anything."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing_portal.dashboards import bands
from billing_portal.dashboards.bands import Band
from credits.reports.figures import AllocationFigures

register = template.Library()

LONG_FIGURE = 12
"""From so many characters before the point on, a key figure is set smaller so that it keeps one line."""


def _render(context: Context, template_name: str, **values: Any) -> SafeString:
    """Render a component with the page's context (for the request and its own includes) and these values on top."""
    engine = context.template.engine if context.template else None
    if engine is None:
        raise RuntimeError("a component is drawn inside a template")
    with context.push(**values):
        return engine.get_template(template_name).render(context)


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """Draw an icon of static/icons.svg; decoration only, so the text beside it must say it too."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', extra, static("icons.svg"), name
    )


@register.simple_tag
def avatar(name: str, extra: str = "") -> SafeString:
    """Draw the initials of a person or an organization."""
    initials = "".join(word[0] for word in str(name).split()[:2]).upper()
    return format_html('<span class="avatar {}" aria-hidden="true">{}</span>', extra, initials or "?")


@register.inclusion_tag("components/badge.html")
def badge(word: str, tone: str = "") -> dict[str, str]:
    """Draw a word with a dot; `tone` is ok, warn, bad, accent or nothing."""
    return {"word": word, "tone": tone}


@register.simple_tag
def band(line: AllocationFigures) -> Band:
    """Return how full an allocation is as a word and tones, for `badge` and `bar`."""
    return bands.band(
        percentage=line.usage_percentage,
        remaining=line.remaining,
        is_active=line.is_active,
        is_limited=line.is_limited,
    )


@register.inclusion_tag("components/bar.html")
def bar(value: object, label: str, tone: str = "") -> dict[str, object]:
    """Draw a bar of 0 to 100; `label` says in words what is how full."""
    return {"value": value, "label": label, "tone": tone}


@register.simple_block_tag(takes_context=True)
def card(
    context: Context, content: str, title: str, anchor: str, sub: str = "", tools: str = "", extra: str = ""
) -> SafeString:
    """Draw a titled panel. `anchor` is the id of its heading; `tools` names a template for the right of its head."""
    return _render(
        context,
        "components/card.html",
        content=content,
        title=title,
        id=anchor,
        sub=sub,
        tools=tools,
        extra=extra,
    )


@register.simple_block_tag(takes_context=True)
def kpi(context: Context, content: str, label: str, value: str) -> SafeString:
    """Draw a key figure: label, figure, and inside the tag one line of meaning and a small graphic."""
    is_long = len(str(value).partition(".")[0]) >= LONG_FIGURE
    return _render(context, "components/kpi.html", content=content, label=label, value=value, is_long=is_long)


@register.simple_block_tag(takes_context=True)
def notice(context: Context, content: str, tone: str, icon: str) -> SafeString:
    """Draw one sentence across the page; `tone` is info, ok, warn or bad."""
    return _render(context, "components/notice.html", content=content, tone=tone, icon=icon)


@register.simple_block_tag(takes_context=True)
def empty(context: Context, content: str, title: str, icon: str, tone: str = "") -> SafeString:
    """Draw what a panel shows when it has nothing: why, and inside the tag what to do next."""
    return _render(context, "components/empty.html", content=content, title=title, icon=icon, tone=tone)


@register.filter
def code_spans(text: str) -> SafeString:
    """Return a sentence with what stands between backticks as code; everything in it is escaped."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # one backtick has no partner: then none of it is code
        return format_html("{}", text)
    codes = (format_html("<code>{}</code>", part) if at % 2 else part for at, part in enumerate(parts))
    return format_html_join("", "{}", ((one,) for one in codes))


@register.simple_tag
def button_class(tags: Sequence[str] | None) -> str:
    """Return the classes for a button of allauth, which says with tags what a button is for."""
    given = set(tags or ())
    if "danger" in given:
        return "btn btn--bad"
    if given & {"link", "cancel"}:
        return "btn btn--quiet"
    return "btn" if given & {"outline", "secondary", "minor", "panel"} else "btn btn--primary"
