"""Public holidays of countries and their parts, from the library `holidays`.

Only commands that calculate deadlines import this: it takes a tenth of a second.
"""

from __future__ import annotations

from datetime import date
from functools import cache

import holidays

from drd.model.obligations.calendars import US_FEDERAL


class HolidayCalendars:
    """The calendars that the library knows: `US-federal`, `FR`, `DE-BY`."""

    def has(self, calendar: str) -> bool:
        return _of(calendar) is not None

    def is_holiday(self, calendar: str, day: date) -> bool:
        days = _of(calendar)
        return days is not None and day in days


@cache
def _of(calendar: str) -> holidays.HolidayBase | None:
    """Return the holidays of a calendar, which are calculated by year when they are asked for."""
    country, _, part = ("US", "", "") if calendar == US_FEDERAL else calendar.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        return None
