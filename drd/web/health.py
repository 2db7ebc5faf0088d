"""Whether the daemon does its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.figures import IncidentFigures
from drd.model.units import to_rfc3339

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """The number of incidents and reported suspicions that are not closed, and when the first task,
    update or report of them is due."""

    number: int
    next_at: datetime | None

    @classmethod
    def of(cls, incidents: Sequence[IncidentFigures]) -> OpenIncidents:
        known = (incident.next_at for incident in incidents)
        return cls(len(incidents), min((at for at in known if at is not None), default=None))


@dataclass(frozen=True, slots=True)
class DaemonHealth:
    """`tick_age_s` is how long ago the last tick ended, by a clock that nobody sets; more than
    `limit_s` means that the daemon hangs, even if its process lives. `incidents` is None until
    incidents were counted for the first time."""

    version: str
    tick_age_s: float
    limit_s: float
    incidents: OpenIncidents | None = None

    @property
    def ok(self) -> bool:
        return self.tick_age_s <= self.limit_s

    def document(self) -> dict[str, Any]:
        """Return the document for programs: durations in seconds."""
        open_incidents = self.incidents
        next_at = open_incidents.next_at if open_incidents is not None else None
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "tick_age_s": round(self.tick_age_s, 3),
            "limit_s": self.limit_s,
            "version": self.version,
            "open_incidents": open_incidents.number if open_incidents is not None else None,
            "incident_next_due_at": to_rfc3339(next_at) if next_at is not None else None,
        }
