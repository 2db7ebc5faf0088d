"""The first sign of an incident: data from after this time cannot be trusted. Pure."""

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
    """The earliest known time at which something was wrong. `what` says what happened then: the
    name of a moment, `indicator`, or `opened`. `entry` is the number of the indicator's entry."""

    at: datetime
    what: str
    entry: int | None = None

    def words(self, zone: tzinfo = UTC) -> str:
        """Return the time, and what happened then."""
        at = format_time(self.at, seconds=True, zone=zone)
        if self.what == INDICATOR:
            return f"{at} (the indicator of entry {self.entry} was seen then)"
        if self.what == OPENED:
            return f"{at} (the incident was opened then, and no earlier sign is recorded)"
        return f"{at} (moment {self.what})"


def first_sign(incident: Incident, found: Investigation) -> FirstSign | None:
    """Return the earliest of the moments in `SIGNS`, the times when indicators were seen, and the
    time when the incident was opened. None if no such time is known."""
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
    """Return what a person has to know before decisions that depend on the first sign."""
    told = []
    if Instant.OCCURRED not in incident.instants:
        told.append(
            "nobody has recorded the moment `occurred`, the first effect of the cause. If it was "
            "earlier than the known first sign, the chosen point can be wrong. To record this "
            f"moment: drd incident anchor {incident.number} occurred TIME"
        )
    elif sign.what == INDICATOR:
        told.append(
            f"the indicator of entry {sign.entry} was seen before the moment `occurred`, so it is "
            "the first sign. If the time of this moment is wrong: drd incident anchor "
            f"{incident.number} occurred TIME --reason TEXT"
        )
    return told
