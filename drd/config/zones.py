"""Time zones in settings, and the time zone of this host."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from drd.model.malformed import Malformed
from drd.model.nearest import closest
from drd.model.text import either


def time_zone(name: str) -> str:
    """Return the name of a time zone that exists. Raises Malformed."""
    if not _exists(name):
        raise Malformed(f'there is no time zone "{name}"', zone_hint(name).removesuffix("."))
    return name


_PEOPLED = (
    "Europe/Berlin", "Europe/Paris", "Europe/London", "Europe/Dublin", "Europe/Helsinki",
    "Europe/Lisbon", "Europe/Moscow", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Halifax", "Asia/Kolkata", "Asia/Shanghai", "Asia/Jerusalem",
    "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip
"""Zones of many people, which hints name."""


def zone_hint(name: str) -> str:
    """Return the remedy for a zone that does not exist. An abbreviation, like CEST, is no name of a
    zone; the name that was meant is in the same part of the world."""
    places = sorted(zone for zone in available_timezones() if _is_place(zone))
    city = name.replace(" ", "_").casefold()
    of_city = [zone for zone in places if zone.rpartition("/")[2].casefold() == city]
    if of_city:
        return f'did you mean "{of_city[0]}"?'
    if re.fullmatch(r"[A-Za-z]{2,5}", name) and (having := _abbreviated(name.upper(), places)):
        zones = either(having)
        return f"{name} is an abbreviation: write the name of your zone, like {zones}."
    part = name.partition("/")[0].casefold()
    there = [zone for zone in places if zone.partition("/")[0].casefold() == part]
    near = closest(name, there or places, alike=0.8)
    return f'did you mean "{near}"?' if near else "write a name like Europe/Berlin, or UTC."


def _is_place(zone: str) -> bool:
    return "/" in zone and not zone.startswith(("Etc/", "US/", "posix/", "right/"))


def _abbreviated(word: str, places: list[str]) -> list[str]:
    """Return some zones whose clocks have this abbreviation in winter or summer of this year."""
    year = datetime.now(UTC).year
    days = [datetime(year, month, 1, tzinfo=UTC) for month in (1, 7)]
    having = [
        zone for zone in places if word in {day.astimezone(ZoneInfo(zone)).tzname() for day in days}
    ]
    return [zone for zone in _PEOPLED if zone in having] or having[:3]


def local_zone(timezone: str | None) -> ZoneInfo:
    """Return the zone in which people type and read the times of incidents: the zone of the
    organisation (`timezone` of drd.yaml), else the zone of this host."""
    zone = ZoneInfo(timezone or host_zone())
    return ZoneInfo("UTC") if str(zone) in _AS_UTC else zone


_AS_UTC = ("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu")
"""Other names that hosts have for UTC."""


def host_zone() -> str:
    """Return the name of this host's time zone; UTC if drd does not know it."""
    linked = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    named = os.environ.get("TZ", "").lstrip(":") or linked
    return named if _exists(named) else "UTC"


def _exists(name: str) -> bool:
    """Return whether it exists. (A list of all zones is made by reading 600 files.)"""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return bool(name)
