"""Time zones in settings, and the time zone of this host."""

from __future__ import annotations

import os
from zoneinfo import ZoneInfo

from drd.model.malformed import Malformed


def time_zone(name: str) -> str:
    """Return the name of a time zone that exists. Raises Malformed."""
    if not _exists(name):
        raise Malformed(f'there is no time zone "{name}"', "write a name like Europe/Berlin")
    return name


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
