"""The state of an incident, and a line of its timeline, in words. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

from drd.model.incidents.actions import ActionItem
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line
from drd.model.text import escaped
from drd.model.units import format_duration, format_time


def standing(incident: Incident, now: datetime, zone: tzinfo) -> str:
    """Return the state, the severity, how long it is open, and who leads, in one line."""
    none = "severity unknown here" if incident.sealed else "no severity yet"
    parts = [f"severity {incident.severity}" if incident.severity else none]
    if incident.state is State.REPORTED:
        parts.insert(0, "reported, not opened yet")
    else:
        since = f" since {short(incident.state_at, now, zone)}" if incident.state_at else ""
        parts.insert(0, f"{incident.state}{since}")
    if incident.restricted:
        parts.append("restricted")
    if incident.opened_at is not None:
        end = incident.closed_at or now
        word = "was open for" if incident.closed_at else "open for"
        parts.append(f"{word} {format_duration((end - incident.opened_at).total_seconds())}")
    if incident.is_open:
        nobody = "lead unknown here" if incident.sealed else "nobody leads the incident yet"
        parts.append(f"led by {escaped(incident.lead)}" if incident.lead else nobody)
    return ", ".join(parts)


def line_text(line: Line, zone: tzinfo) -> str:
    """Return what a line of the timeline says: routine entries as one line, and what was corrected
    or late."""
    text = escaped(line.text)
    if line.count > 1 and line.until is not None:
        head = text.rpartition(" (run ")[0] or text
        text = f"{head}, {line.count} times, until {format_time(line.until, zone=zone)[11:]}"
    if line.corrected:
        text += " (corrected)"
    if (line.noted_at - line.at).total_seconds() >= 60:
        text += f" (noted {format_time(line.noted_at, zone=zone)[11:16]})"
    return text


def short(at: datetime | None, now: datetime, zone: tzinfo) -> str:
    """Return a time without the date, if it is of today."""
    if at is None:
        return "unknown"
    text = format_time(at, zone=zone)
    return text[11:] if text[:10] == format_time(now, zone=zone)[:10] else text


def action_state(item: ActionItem, now: datetime, zone: tzinfo) -> str:
    """Return the state of an action item in words: open; overdue, by how long; or done, when and by
    whom."""
    if item.done_at is not None:
        by = f"run {item.proof}" if item.proof else item.done_by
        return f"done {format_time(item.done_at, zone=zone)[:10]} by {escaped(by)}"
    if item.is_overdue(now):
        return f"overdue by {format_duration((now - item.due).total_seconds())}"
    return "open"
