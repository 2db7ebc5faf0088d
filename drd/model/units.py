"""Parse and format durations, sizes and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from drd.model.malformed import Malformed

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
# Patterns are compiled when they are first used: `drd status` needs none of them.
_DURATION = r"(?:\d+(?:\.\d+)?\s*[smhdw]\s*)+"
_PART = r"(\d+(?:\.\d+)?)\s*([smhdw])"
_SIZE = r"(?i)(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?"


DURATION, AGE, SHARE = range(3)
"""How to show a number that changes with time, in texts with places for it (`validity`)."""


def parse_duration(text: str) -> float:
    """Return the seconds of `15m`, `1h30m`, `7d`. A bare number is refused because it has no unit;
    so is `6M`, which would turn months of a retention into minutes.
    """
    text = text.strip()
    if not re.fullmatch(_DURATION, text):
        raise Malformed(f"{text!r} is not a duration", "write a number and a unit, like 15m or 7d")
    return sum(float(n) * _SECONDS[unit] for n, unit in re.findall(_PART, text))


def parse_size(text: str) -> int:
    """Return the bytes of `512M`, `1.5GiB`, `100`; units are powers of 1024."""
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise Malformed(f"{text!r} is not a size", "write a number and a unit, like 512M or 2G")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def format_duration(seconds: float | None) -> str:
    """Format seconds with at most two units, truncated: `4m 12s`, `3h 02m`, `2d 5h`, `0.8s`;
    `unknown` for None.
    """
    if seconds is None:
        return "unknown"
    if type(seconds) is not float:
        place = getattr(seconds, "place", None)
        if place is not None and (text := place(DURATION)):
            return str(text)
        seconds = float(seconds)  # no decision rests on a text: `held` need not follow what comes
    return " ".join(_in_units(seconds))


def _in_units(seconds: float) -> tuple[str, ...]:
    """Return one or two units, the larger one first."""
    if seconds < 0:
        first, *others = _in_units(-seconds)
        return (f"-{first}", *others)
    if seconds < 10:
        return (f"{seconds:.1f}s".replace(".0s", "s"),)
    whole = int(seconds)
    if whole < 60:
        return (f"{whole}s",)
    if whole < 3600:
        return _two(whole // 60, "m", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "m")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(big: int, big_unit: str, small: int, small_unit: str) -> tuple[str, ...]:
    if not small:
        return (f"{big}{big_unit}",)
    width = "02d" if small_unit in ("s", "m") else "d"
    return f"{big}{big_unit}", f"{small:{width}}{small_unit}"


def format_age(seconds: float) -> str:
    """Format seconds with the larger unit of `format_duration`: `2d`."""
    place = getattr(seconds, "place", None)
    if place is not None and (text := place(AGE)):
        return str(text)
    return _in_units(float(seconds))[0]


def format_share(share: float) -> str:
    """Format a share, rounded down: `99.87 %`."""
    place = getattr(share, "place", None)
    if place is not None and (text := place(SHARE)):
        return str(text)
    return f"{int(float(share) * 10_000) / 100:.2f} %"


def format_size(count: float | None) -> str:
    """Format bytes: `512 B`, `1.4 MiB`, `612 MiB`; `unknown` for None."""
    if count is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_sizes(before: int, after: int) -> tuple[str, str]:
    """Format two sizes that differ; in bytes, `8,192 B`, where both would read the same."""
    texts = format_size(before), format_size(after)
    if texts[0] == texts[1] and before != after:
        return f"{before:,} B", f"{after:,} B"
    return texts


def format_time(at: datetime, *, seconds: bool = False, zone: tzinfo = UTC) -> str:
    """Format a time for people, with its zone: `2026-11-25 14:03 UTC`, `2026-11-25 15:03 CET`."""
    local = at.astimezone(zone)
    return f"{_bare(local, seconds=seconds)} {zone_name(local)}"


def exact_time(at: datetime) -> str:
    """Format a time with all that it has: `2026-11-25 14:03:22.25 UTC`."""
    local = at.astimezone(UTC)
    fraction = f".{local.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{_bare(local, seconds=True)}{fraction} UTC"


def format_span(begin: datetime, end: datetime) -> tuple[str, str]:
    """Format the limits of a time span, so that both are within it when a person types them: the
    first whole second after its beginning, the last one before its end. A span without two whole
    seconds keeps its fractions."""
    first = begin.replace(microsecond=0) + timedelta(seconds=1)
    if first > end:
        return exact_time(begin), exact_time(end)
    return format_time(first, seconds=True), format_time(end, seconds=True)


def zone_name(local: datetime) -> str:
    """Return the name of the zone of a time: `CET`. If the zone has no name, return its offset:
    `UTC-03`."""
    name = local.tzname() or ""
    return f"UTC{name}" if name.startswith(("+", "-")) else name


def _bare(at: datetime, *, seconds: bool) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def format_rfc3339(text: str, *, seconds: bool = False) -> str:
    """Format a time of a JSON document in the same way."""
    return format_time(from_rfc3339(text), seconds=seconds)


def bare_time(text: str) -> str:
    """Format a time with seconds, for a table whose header names the zone: `2026-11-25
    14:03:22`."""
    return _bare(from_rfc3339(text).astimezone(UTC), seconds=True)


def to_rfc3339(at: datetime) -> str:
    """Format in UTC with a Z, and with microseconds only if there are any."""
    text = at.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Parse an aware datetime. A time without a zone is refused because it is ambiguous, and so is
    a time whose year in UTC is not within 1 to 9999.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise Malformed(f"{text!r} has no time zone", "add Z or +02:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise Malformed(f"{text!r} is out of range: the years 1 to 9999 are possible") from None
