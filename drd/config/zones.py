"""Time zones in settings."""

from __future__ import annotations

import os
from zoneinfo import available_timezones

from drd.model.malformed import Malformed


def time_zone(name: str) -> str:
    """Return the name of a time zone that exists. Raises Malformed."""
    if name not in available_timezones():
        raise Malformed(f'there is no time zone "{name}"', "write one like Europe/Berlin")
    return name


def host_zone() -> str:
    """Return the name of the time zone of this host; UTC if it has none that is known."""
    linked = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    named = os.environ.get("TZ", "").lstrip(":") or linked
    return named if named in available_timezones() else "UTC"
