"""Which days are business days."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Protocol

SATURDAY = 5
US_FEDERAL = "US-federal"
"""The calendar of the federal holidays of the United States."""
MEMBER_STATE = "member-state"
"""The calendar of the place that the fact `member_state` names, such as FR or DE-BY."""


class Calendars(Protocol):
    """Holidays by the name of a calendar: US-federal, a country (FR), or a part of one (DE-BY)."""

    def has(self, calendar: str) -> bool:
        """Return whether there is a calendar of this name."""
        ...

    def is_holiday(self, calendar: str, day: date) -> bool:
        """Return whether the day is a holiday. False for a calendar that does not exist."""
        ...


class NoHolidays:
    """No calendar at all: every Monday to Friday is a business day, so no deadline is later than
    with holidays."""

    def has(self, calendar: str) -> bool:  # noqa: ARG002 (the protocol's)
        return False

    def is_holiday(self, calendar: str, day: date) -> bool:  # noqa: ARG002 (the protocol's)
        return False


class BusinessDays:
    """The business days of one calendar, without days on which the authority is closed."""

    def __init__(self, calendars: Calendars, calendar: str, closures: Collection[date]) -> None:
        self.calendars = calendars
        self.calendar = calendar
        self.closures = closures

    def has(self, day: date) -> bool:
        return (
            day.weekday() < SATURDAY
            and day not in self.closures
            and not self.calendars.is_holiday(self.calendar, day)
        )

    def after(self, day: date, count: int) -> date:
        """Return the business day number `count` after `day`, which itself never counts.

        An event on a Saturday, Sunday or holiday begins a period on the next business day, which is
        its first: that is the same (Form 8-K, General Instruction B.1)."""
        while count:
            day += timedelta(days=1)
            count -= self.has(day)
        return day

    def next(self, day: date) -> date:
        """Return the first business day after `day`."""
        return self.after(day, 1)
