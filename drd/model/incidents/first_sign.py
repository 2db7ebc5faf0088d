"""The first sign of an incident: from when on nobody can rely on data any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import SIGNS, Instant
from drd.model.incidents.investigation import Investigation
from drd.model.units import format_time

INDICATOR = "indicator"
OPENED = "opened"


@dataclass(frozen=True, slots=True)
class FirstSign:
    """The earliest known time at which something was wrong. `what` is a moment, `indicator`, or
    `opened` if none of them is earlier; `entry` is that of the indicator."""

    at: datetime
    what: str
    entry: int | None = None

    def words(self, zone: tzinfo = UTC) -> str:
        """Return the time, and what says so."""
        at = format_time(self.at, seconds=True, zone=zone)
        if self.what == INDICATOR:
            return f"{at} (indicator {self.entry} was seen then)"
        if self.what == OPENED:
            return f"{at} (the incident was opened then, and no earlier sign is recorded)"
        return f"{at} (moment {self.what})"


def first_sign(incident: Incident, found: Investigation) -> FirstSign | None:
    """Return the earliest of the moments in `SIGNS`, the times when indicators were seen, and the
    time when the incident was opened. None if none of these is known."""
    signs = [FirstSign(incident.instants[m], m.value) for m in SIGNS if m in incident.instants]
    signs += [
        FirstSign(one.seen, INDICATOR, one.entry)
        for one in found.indicators
        if one.seen is not None and not one.withdrawn
    ]
    if incident.opened_at is not None:
        signs.append(FirstSign(incident.opened_at, OPENED))
    return min(signs, key=lambda sign: sign.at, default=None)


def remarks(incident: Incident, sign: FirstSign) -> list[str]:
    """Return what a person has to know before relying on the first sign."""
    told = []
    if Instant.OCCURRED not in incident.instants:
        told.append(
            "nobody has recorded the moment `occurred`, the first effect of the cause. It can be "
            "earlier than the first sign that is known: then the choice can be wrong. To record "
            f"it: drd incident anchor {incident.number} occurred TIME"
        )
    elif sign.what == INDICATOR:
        told.append(
            f"indicator {sign.entry} was seen before the moment `occurred`, so it counts. If the "
            f"moment is wrong: drd incident anchor {incident.number} occurred TIME --reason TEXT"
        )
    return told
