"""Public holidays of countries and their parts, from the library `holidays`.

Only commands that calculate deadlines import this: it takes a tenth of a second.
"""

from __future__ import annotations

from datetime import date
from functools import cache

import holidays
from holidays.registry import COUNTRIES

from drd.model.obligations.calendars import US_FEDERAL


class HolidayCalendars:
    """The calendars that the library knows: `US-federal`, `FR`, `DE-BY`."""

    def has(self, calendar: str) -> bool:
        return _of(calendar) is not None

    def is_holiday(self, calendar: str, day: date) -> bool:
        days = _of(calendar)
        return days is not None and day in days


def code_of(name: str) -> str | None:
    """Return the code of a place: of a country by its English name, of a part of a country by its
    local name. Examples: `DE`, `US-CA`, `DE-BY`, `EU`. None for a name that the library does not
    have."""
    wanted = _bare(name)
    if wanted in ("europe", "europeanunion"):
        return "EU"
    for key, (_, code, *others) in COUNTRIES.items():
        if wanted in (_bare(key), *(_bare(other) for other in others)):
            return code
    for country in _WITH_PARTS:
        known = getattr(holidays, country)
        parts = {_bare(part): code for part, code in known.subdivisions_aliases.items()}
        if wanted in parts:
            return f"{country}-{parts[wanted]}"
    return None


_WITH_PARTS = ("US", "DE")
"""Countries whose parts have law of their own in drd, or calendars that regimes name."""


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@cache
def _of(calendar: str) -> holidays.HolidayBase | None:
    """Return the holidays of a calendar, which are calculated by year when they are asked for."""
    country, _, part = ("US", "", "") if calendar == US_FEDERAL else calendar.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        return None
