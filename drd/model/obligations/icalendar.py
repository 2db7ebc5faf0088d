"""The deadlines of an incident as an iCalendar file (RFC 5545), for calendars of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drd.model.obligations.clocks import CLOSED, ClockState
from drd.model.obligations.words import local_time
from drd.model.text import escaped

_OCTETS = 75
"""The longest line, without its end."""


class _Events(NamedTuple):
    """Makes the events of a regime. `head` are the lines that all events of a file have."""

    incident: int
    regime: str
    head: tuple[str, ...]

    def event(self, name: str, at: datetime, text: str, more: Sequence[str]) -> Iterator[str]:
        """Yield the lines of an event; `more` are those of this event alone."""
        yield "BEGIN:VEVENT"
        yield f"UID:incident-{self.incident}-{self.regime}-{name}@drd"
        yield from self.head
        yield f"DTSTART:{_stamp(at)}"
        yield f"SUMMARY:{_escaped(f'{name}: {self.regime} (incident {self.incident})')}"
        yield f"DESCRIPTION:{_escaped(text)}"
        yield from more
        yield "END:VEVENT"


def icalendar(
    incident: int, states: Iterable[ClockState], now: datetime, zone: str, version: int
) -> str:
    """Return the file: an event for each target and due time of a report that is still to be made
    or decided, with a reminder an hour before. Events of an earlier file for which nothing is left
    to do are cancelled. `version` is larger in each later file that differs."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//drd//obligations//EN"]
    head = (f"DTSTAMP:{_stamp(now)}", f"SEQUENCE:{version}")
    for state in states:
        if not state.is_quiet:
            events = _Events(incident, state.regime.id, head)
            if state.kind not in CLOSED:
                lines += _planned(state, events, zone)
            lines += _cancelled(state, events)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _cancelled(state: ClockState, events: _Events) -> Iterator[str]:
    """Yield the events that an earlier file can have had, and that are over."""
    over = {"determine": state.prompt_at or state.started_at} if state.regime.prompt else {}
    if state.kind in CLOSED:
        is_one = state.target_at == state.due_at
        over |= {"target": None if is_one else state.target_at, "due": state.due_at}
    elif state.started_at is None:
        over = {}
    for name, at in over.items():
        if at is not None:
            yield from events.event(name, at, f"State: {state.kind}.", ("STATUS:CANCELLED",))


def _planned(state: ClockState, events: _Events, zone: str) -> Iterator[str]:
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
        reminder = (
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            f"DESCRIPTION:{_escaped(f'{name}: {state.regime.id}')}",
            "TRIGGER:-PT1H",
            "END:VALARM",
        )
        yield from events.event(name, at, text, reminder)


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
