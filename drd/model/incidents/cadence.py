"""When people expect to hear of an incident again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cadence:
    """The time between two updates, by severity: `every_s`. For other severities, no updates are
    promised; while nobody has set a severity, the shortest time counts. `first_s` is the time for
    the update after an incident was opened, or its state changed. 0: no update is expected."""

    first_s: float = 0.0
    every_s: Mapping[str, float] = field(default_factory=dict)

    def interval_s(self, severity: str) -> float | None:
        """Return the time between two updates; None if no updates are promised."""
        if not severity:
            return min(self.every_s.values(), default=None)
        return self.every_s.get(severity)

    def promise(self, severity: str, now: datetime) -> datetime | None:
        """Return when the next update is promised, on a full minute."""
        seconds = self.interval_s(severity)
        if seconds is None:
            return None
        at = now + timedelta(seconds=seconds)
        rest = timedelta(seconds=at.second, microseconds=at.microsecond)
        return at - rest + (_MINUTE if rest else timedelta())

    def first(self, severity: str, since: datetime) -> datetime | None:
        """Return when the update is due that follows the opening, or a change of the state."""
        if not self.first_s or self.interval_s(severity) is None:
            return None
        return since + timedelta(seconds=self.first_s)


@dataclass(frozen=True, slots=True)
class Told:
    """When an audience was last told something, and when the next update was promised to it; None
    if none was promised."""

    at: datetime
    promise: datetime | None = None


@dataclass(frozen=True, slots=True)
class UpdateClock:
    """An update that an audience expects until `due`."""

    audience: str
    due: datetime
    why: str


UPDATES_S: Mapping[str, float] = {"critical": 3600.0, "high": 4 * 3600.0, "medium": 86400.0}
"""The time between two updates, unless drd.yaml says otherwise."""
NO_CADENCE = Cadence()
"""No updates are expected."""
