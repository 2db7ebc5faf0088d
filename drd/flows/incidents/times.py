"""The times that people type while they respond."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from drd.errors import UsageError
from drd.model.units import format_time, from_rfc3339, parse_duration

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2}))?"
_SHORT = timedelta(minutes=1)
_HINT = "write 14:30 (today, the time of this host), -2h, now, or 2026-11-28T14:30:00Z."


def past(text: str, now: datetime) -> datetime:
    """Return the time of something that happened. Raises UsageError for anything else."""
    at = _parsed(text, now)
    if at > now + _SHORT:
        raise UsageError(
            f"{text} is {format_time(at)}, which is in the future",
            hint=f"if it was yesterday, write the date as well: {_day_before(at)}",
        )
    return min(at, now)


def _day_before(at: datetime) -> str:
    """Return the same time of day a day earlier, as it can be typed, in the zone of this host."""
    return (at.astimezone() - timedelta(days=1)).isoformat(timespec="minutes")


def coming(text: str, now: datetime) -> datetime:
    """Return the time when something is due; a duration without a sign counts from now. Raises
    UsageError for anything else."""
    try:
        return now + timedelta(seconds=parse_duration(text.removeprefix("+")))
    except (ValueError, OverflowError):
        at = _parsed(text, now)
    if at <= now:
        raise UsageError(
            f"{text} is {format_time(at)}, which is in the past",
            hint="write how long from now, like 2h, or a later time.",
        )
    return at


def _parsed(text: str, now: datetime) -> datetime:
    words = text.strip()
    try:
        if words == "now":
            return now
        if words.startswith("-"):
            return now - timedelta(seconds=parse_duration(words[1:]))
        if (clock := re.fullmatch(_CLOCK, words)) is not None:
            today = now.astimezone().replace(tzinfo=None)
            hour, minute, second = (int(part or 0) for part in clock.groups())
            at = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return at.astimezone()
        return from_rfc3339(words)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a time", hint=_HINT) from error
