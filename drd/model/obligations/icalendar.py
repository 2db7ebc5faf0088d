"""The deadlines of an incident as an iCalendar file (RFC 5545), for calendars of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drd.model.obligations.clocks import CLOSED, ClockState
from drd.model.obligations.words import local_time
from drd.model.text import escaped

_OCTETS = 75
"""The longest line, without its end."""


def icalendar(incident: int, states: Iterable[ClockState], now: datetime, zone: str) -> str:
    """Return the file: an event for each target and due time of a report that is still to be made
    or decided, with a reminder an hour before."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//drd//obligations//EN"]
    for state in states:
        if state.kind not in CLOSED and not state.is_quiet:
            lines += _events(incident, state, now, zone)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _events(incident: int, state: ClockState, now: datetime, zone: str) -> Iterator[str]:
    times = [("due", state.due_at)]
    if state.target_at != state.due_at:
        times.append(("target", state.target_at))
    if state.started_at is None:
        times.append(("determine", state.prompt_at))
    for name, at in times:
        if at is None:
            continue
        where = ZoneInfo(state.regime.zone or zone)
        last = state.last_day if name == "due" else None
        local = local_time(at, where, last)
        if last is not None and last != at.astimezone(where).date():
            at -= timedelta(minutes=1)  # noqa: PLW2901 (24:00 stands in calendars on the next day)
        asks = f"; {state.regime.prompt.ask}" if name == "determine" and state.regime.prompt else ""
        text = f"{state.regime.title}{asks}. {name} {local}. State: {state.kind}. Not legal advice."
        yield "BEGIN:VEVENT"
        yield f"UID:incident-{incident}-{state.regime.id}-{name}@drd"
        yield f"DTSTAMP:{_stamp(now)}"
        yield f"DTSTART:{_stamp(at)}"
        yield f"SUMMARY:{_escaped(f'{name}: {state.regime.id} (incident {incident})')}"
        yield f"DESCRIPTION:{_escaped(text)}"
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"DESCRIPTION:{_escaped(f'{name}: {state.regime.id}')}"
        yield "TRIGGER:-PT1H"
        yield "END:VALARM"
        yield "END:VEVENT"


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    lines = [escaped(line) for line in text.split("\n")]
    for character in "\\;,":
        lines = [line.replace(character, f"\\{character}") for line in lines]
    return "\\n".join(lines)


def _folded(line: str) -> Iterator[str]:
    """Return a line in parts of at most 75 octets; later ones begin with a space."""
    part, size = "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > _OCTETS:
            yield part
            part, size = " ", 1
        part, size = part + character, size + octets
    yield part
