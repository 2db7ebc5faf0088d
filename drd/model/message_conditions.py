"""Updates that are due, and messages that did not arrive, as conditions for alerts. Pure.

An alert names incident, message and audience, and neither title nor people: not everybody who reads
alerts may know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from drd.model.alerts import Condition
from drd.model.incidents.audiences import Audience
from drd.model.incidents.cadence import UpdateClock
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import MAY_REPEAT, NEEDS_A_PERSON, Fate, IncidentMessage
from drd.model.titles import UPDATE
from drd.model.units import format_duration, format_time

UNDELIVERED = "message-undelivered"
AHEAD = timedelta(minutes=10)
"""How long before an update is due people are reminded."""
_WAITS = timedelta(minutes=15)


def message_conditions(
    incident: Incident, found: Iterable[IncidentMessage], now: datetime, zone: tzinfo
) -> Iterator[Condition]:
    """Return a condition for each update that is due soon or overdue, and for each message about
    which a person has to do something, or that has waited for long."""
    for clock in incident.updates:
        if clock.due - AHEAD <= now:
            yield _update(incident.number, clock, now, zone)
    for message in found:
        counts = Counter(d.fate for d in message.deliveries if d.fate in NEEDS_A_PERSON)
        waiting = [d for d in message.deliveries if d.fate is Fate.WAITING]
        late = [d for d in waiting if d.at is not None and now - d.at > _WAITS]
        if late:
            counts[Fate.WAITING] = len(late)
        if counts and not message.withdrawn:
            yield _undelivered(incident.number, message, counts)


def update_words(clock: UpdateClock, now: datetime, zone: tzinfo) -> str:
    """Return when an update is due: `by 14:30 UTC (15:30 CET), in 20m`."""
    left = (clock.due - now).total_seconds()
    late = f"overdue by {format_duration(-left)}" if left < 0 else f"in {format_duration(left)}"
    local = clock.due.astimezone(zone)
    here = "" if local.utcoffset() == timedelta() else f" ({local:%Y-%m-%d %H:%M %Z})"
    return f"by {format_time(clock.due)}{here}, {late}"


def _update(number: int, clock: UpdateClock, now: datetime, zone: tzinfo) -> Condition:
    overdue = clock.due <= now
    outside = clock.audience in {str(a) for a in Audience if a.is_external}
    verb = "draft" if outside else "send"
    return Condition(
        UPDATE,
        "critical" if overdue else "warning",
        f"incident {number}, {clock.audience}",
        f"the next update of incident {number} to {clock.audience} is due "
        f"{update_words(clock, now, zone)} ({clock.why})",
        f"drd incident message {verb} {number} {clock.audience}",
    )


def _undelivered(number: int, message: IncidentMessage, counts: Counter[Fate]) -> Condition:
    grave = any(fate in MAY_REPEAT for fate in counts)
    told = ", ".join(f"{count} {fate}" for fate, count in counts.items())
    return Condition(
        UNDELIVERED,
        "critical" if grave else "warning",
        f"incident {number}, message {message.number}",
        f"message {message.number} of incident {number} to {message.audience} did not reach "
        f"everybody: {told}",
        f"drd incident message list {number}",
    )
