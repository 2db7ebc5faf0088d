"""How long the response took, from the moments that people stated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant

_NOTICED = (Instant.FIRST_ALERT, Instant.SUSPECTED, Instant.DISCOVERED, Instant.AWARE)


def noticed(incident: Incident) -> datetime | None:
    """Return when the incident was first noticed, by anybody or any system; without a stated
    moment, when it was opened."""
    stated = [incident.instants[i] for i in _NOTICED if i in incident.instants]
    return min(stated, default=incident.opened_at)


def durations(incident: Incident) -> Mapping[str, float | None]:
    """Return the seconds to detect, acknowledge, contain and recover. A duration is None if one of
    its two moments was not stated or cannot be read here, or if they contradict each other.

    Detection counts from `occurred`; the others count from the time when the incident was first
    noticed, to the first act of a person, to `contained` and to `recovered_regular`.
    """
    stated, seen = incident.instants, noticed(incident)
    if incident.sealed:  # moments may be among what cannot be read
        stated, seen = {}, None
    return {
        "detect": _between(stated.get(Instant.OCCURRED), seen),
        "acknowledge": _between(seen, incident.acknowledged_at),
        "contain": _between(seen, stated.get(Instant.CONTAINED)),
        "recover": _between(seen, stated.get(Instant.RECOVERED_REGULAR)),
    }


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


_IN_ORDER = (
    *((Instant.OCCURRED, later) for later in Instant if later is not Instant.OCCURRED),
    (Instant.SUSPECTED, Instant.AWARE),
    (Instant.CONTAINED, Instant.HANDLED),
    (Instant.RECOVERED_REGULAR, Instant.HANDLED),
)


def contradictions(instants: Mapping[Instant, datetime]) -> list[str]:
    """Return in words which moments were stated in an order that is not possible."""
    return [
        f"{later} is before {earlier}"
        for earlier, later in _IN_ORDER
        if earlier in instants and later in instants and instants[later] < instants[earlier]
    ]
