"""How long credits last and when some expire, in a sentence: the answer before the figures."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.formats import date_format

from credits import amounts
from credits.reports import figures, forecast
from credits.reports.figures import Expiry
from credits.reports.forecast import Runway, State
from orgs.models import Organization, User

SHORT_DAYS: Final = 7
SOON: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlookPart:
    """`lasting` is the sentence, `runway_figure` the days as a figure; `expiry` is None where nothing expires."""

    lasting: str
    runway_figure: str
    is_short: bool
    expiry: Expiry | None
    expires_soon: bool


def part(*, organization: Organization, now: datetime, user: User | None = None) -> OutlookPart:
    """Return the outlook of an organization, or of one member's allocation there."""
    if user is not None:
        runway = forecast.of_member(organization=organization, user=user, now=now).runway
        return _part(runway, None, now, what="your allocation lasts")
    runway = forecast.of_organization(organization=organization, now=now).runway
    expiry = figures.next_expiry(organization=organization)
    return _part(runway, expiry, now, what="the credits last")


def _part(runway: Runway, expiry: Expiry | None, now: datetime, *, what: str) -> OutlookPart:
    return OutlookPart(
        lasting=_sentence(runway, what),
        runway_figure=_figure(runway),
        is_short=runway.days is not None and 0 < runway.days < SHORT_DAYS,
        expiry=expiry,
        expires_soon=expiry is not None and expiry.at - now <= SOON,
    )


def _figure(runway: Runway) -> str:
    """Return the days: 0, not applicable and not known yet are three different outputs."""
    if runway.state is State.NOT_APPLICABLE:
        return "\N{EN DASH}"
    if runway.days is None:
        return "not known yet"
    return f"{runway.days:,} day" if runway.days == 1 else f"{runway.days:,} days"


def _sentence(runway: Runway, what: str) -> str:
    if runway.state is not State.KNOWN or runway.days is None:
        return ""
    if runway.left <= 0:
        return ""
    pace = f" ({amounts.display_short(runway.a_day)} a day)" if runway.a_day is not None else ""
    until = f", until {date_format(runway.until, 'j F Y')}" if runway.until is not None else ""
    if runway.days == 0:
        return f"At this pace{pace} {what} less than a day."
    days = "1 day" if runway.days == 1 else f"{runway.days:,} days"
    return f"At this pace{pace} {what} {days}{until}."
