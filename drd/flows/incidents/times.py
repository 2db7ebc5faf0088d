"""The times that people type while they respond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from drd.errors import UsageError
from drd.model.units import format_time, from_rfc3339, parse_duration, to_rfc3339

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2}))?"
_DATE = r"\d{4}-\d{2}-\d{2}"
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DAY = rf"(?:({'|'.join(_DAYS)}) +)?"
_SHORT = timedelta(minutes=1)


def past(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the time of something that happened; without an offset, it is a time of `zone`. Raises
    UsageError for anything else."""
    at = _parsed(text, now, zone)
    if at > now + _SHORT:
        raise UsageError(
            f"{text} is {format_time(at, zone=zone)}, which is in the future",
            hint=f'if it was yesterday, write "yesterday {at.astimezone(zone):%H:%M}".'
            if re.fullmatch(_CLOCK, text.strip())
            else "give the time at which it happened.",
        )
    return min(at, now)


def coming(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the time when something is due. A duration without a sign counts from now; a time
    without an offset is a time of `zone`. Raises UsageError for anything else."""
    try:
        return now + timedelta(seconds=parse_duration(text.removeprefix("+")))
    except (ValueError, OverflowError):
        at = _parsed(text, now, zone)
    if at <= now:
        raise UsageError(
            f"{text} is {format_time(at, zone=zone)}, which is in the past",
            hint="write a duration from now, like 2h, or a later time.",
        )
    return at


def typed(text: str, zone: tzinfo) -> datetime:
    """Return a date with a time; without an offset, it is a time of `zone`. If a change of the
    clock repeats this hour, the first one is meant. Raises ValueError, OverflowError."""
    at = datetime.fromisoformat(text)
    return from_rfc3339((at if at.tzinfo is not None else at.replace(tzinfo=zone)).isoformat())


def recorded(text: str, at: datetime, zone: tzinfo) -> str:
    """Return how drd understood a time that was typed: `2026-10-25 02:30 CEST`. If a change of the
    clock repeats this hour, the text says how to write the other one."""
    doubt = ambiguity(text, at, zone)
    return f"{format_time(at, zone=zone)} ({doubt})" if doubt else format_time(at, zone=zone)


def ambiguity(text: str, at: datetime, zone: tzinfo) -> str:
    """If the clock showed this time twice, return which of the two drd took, and how to write the
    other one; if the clock never showed it, return this. Empty for any other time, and for a time
    with an offset."""
    local = at.astimezone(zone)
    later = local.replace(fold=1)
    typed_one = re.fullmatch(rf"(?:({_DATE})[T ]|{_DAY}){_CLOCK}(?:\.\d+)?", text.strip())
    if typed_one is None:
        return ""
    day, hour, minute = typed_one[1] or f"{local:%Y-%m-%d}", int(typed_one[3]), int(typed_one[4])
    asked = datetime.fromisoformat(day).replace(hour=hour, minute=minute, tzinfo=zone)
    shown = asked.astimezone(UTC).astimezone(zone)
    if (shown.hour, shown.minute) != (hour, minute):
        return (
            f"the clock was set forward past {hour:02}:{minute:02} on this day, so this "
            "time does not exist"
        )
    if local.utcoffset() == later.utcoffset():
        return ""
    return (
        "the clock showed this time twice on this day. drd takes the first of the two; for "
        f"the second, write {later.isoformat(timespec='minutes')}"
    )


def _parsed(text: str, now: datetime, zone: tzinfo) -> datetime:
    words = text.strip()
    if re.fullmatch(_DATE, words) is not None:
        raise UsageError(
            f"{text!r} does not contain a time of day, but deadlines count from this time",
            hint=f"add the time, as exactly as you know it: {words}T09:30",
        )
    try:
        if words == "now":
            return now
        if words.startswith("-"):
            return now - timedelta(seconds=parse_duration(words[1:]))
        if (clock := re.fullmatch(_DAY + _CLOCK, words)) is not None:
            hour, minute, second = (int(part or 0) for part in clock.groups()[1:])
            today = now.astimezone(zone).replace(tzinfo=None)
            day = today + timedelta(days=_DAYS[clock[1] or "today"])
            at = day.replace(hour=hour, minute=minute, second=second, microsecond=0, fold=0)
            return typed(at.isoformat(), zone)
        return typed(re.sub(r" UTC$", "Z", words), zone)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a time", hint=_hint(now, zone)) from error


def _hint(now: datetime, zone: tzinfo) -> str:
    example = now.astimezone(zone) - timedelta(hours=1)
    return (
        f'write 14:30, "yesterday 14:30" or {example:%Y-%m-%dT%H:%M} (in the time zone {zone}), '
        f"-2h, now, or a time with an offset: {to_rfc3339(example)[:16]}Z."
    )
