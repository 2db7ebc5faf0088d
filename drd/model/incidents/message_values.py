"""What a template of a message may use: the values of an incident, in words. Pure.

A value that the incident does not have is left out, so that a template that uses it is refused: no
message is sent with a gap. A value that nobody knows yet is the word "unknown"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.durations import noticed
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line
from drd.model.text import counted
from drd.model.units import format_time

STANDING: Mapping[State, str] = {
    State.REPORTED: "Somebody has reported a suspicion. We are examining it.",
    State.DETECTED: "We are examining what has happened.",
    State.TRIAGED: "We know what has happened, and we are working to stop it.",
    State.CONTAINED: "The problem cannot spread any more. We are removing the cause.",
    State.ERADICATED: "The cause is removed. We are restoring the service.",
    State.RECOVERED: "The service works again.",
    State.REVIEWED: "The service works again, and we have examined what happened.",
    State.CLOSED: "The incident is over.",
}


def values(
    incident: Incident,
    *,
    lines: Sequence[Line],
    affected: Sequence[Affected],
    said: Mapping[str, str],
    now: datetime,
    next_update: datetime | None,
    zone: tzinfo,
    language: str,
) -> dict[str, Any]:
    """Return the values by name: texts, numbers, and lists of these. `said` is what a person adds
    to this message. Times have `utc` and `local`."""

    def time(at: datetime | None) -> dict[str, str] | None:
        return _time(at, zone) if at is not None else None

    by_name: dict[str, Any] = {
        "number": incident.number,
        "title": incident.title,
        "state": str(incident.state),
        "standing": STANDING[incident.state],
        "severity": incident.severity,
        "lead": incident.lead,
        "roles": dict(incident.roles),
        "plans": list(incident.plans),
        "people": people(affected),
        "data": [_data(one) for one in affected],
        "opened": time(incident.opened_at),
        "noticed": time(noticed(incident)),
        "closed": time(incident.closed_at),
        "now": time(now),
        "next_update": time(next_update),
        "moments": {str(name): _time(at, zone) for name, at in incident.instants.items()},
        "done": [_task(task, zone) for task in incident.tasks if task.done_at is not None],
        "to_do": [_task(task, zone) for task in incident.open_tasks],
        "starred": [{**_time(line.at, zone), "text": line.text} for line in lines if line.starred],
        "language": language,
        "said": dict(said),
    }
    return {name: value for name, value in by_name.items() if value not in (None, "")}


def people(affected: Sequence[Affected]) -> str:
    """Return how many people are affected, in words; the numbers of several sets of data may count
    the same people, so the largest is a lower bound. A number that the plan estimates says so."""
    known = [one.people for one in affected if one.people is not None]
    if not known:
        return "unknown"
    largest = counted(max(known), "person", "people")
    estimated = [one.people for one in affected if one.known is Known.ESTIMATED]
    if max(known) in estimated:
        largest += " (estimated)"
    if len(affected) == 1:
        return largest
    return f"at least {largest}" if len(known) == len(affected) else f"unknown, at least {largest}"


def _data(one: Affected) -> dict[str, Any]:
    return {
        "plan": one.plan,
        "what": one.what,
        "people": people([one]),
        "categories": list(one.categories),
    }


def _task(task: Task, zone: tzinfo) -> dict[str, Any]:
    values: dict[str, Any] = {"text": task.text}
    values |= {"to": task.to} if task.to else {}
    values |= {"due": _time(task.due, zone)} if task.due is not None else {}
    return values


def _time(at: datetime, zone: tzinfo) -> dict[str, str]:
    utc, local = format_time(at), f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
    return {"utc": utc, "local": local, "both": local if local == utc else f"{local} ({utc})"}
