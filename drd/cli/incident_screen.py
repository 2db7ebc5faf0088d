"""The screen of an incident, for a person under stress: above, what is open and what comes next;
below, the timeline, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo

from drd.cli.render import hanging
from drd.model.incidents.cadence import UpdateClock
from drd.model.incidents.durations import contradictions, durations
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.incident_words import action_state, line_text, short, standing
from drd.model.incidents.investigation import Investigation
from drd.model.incidents.investigation_words import summary
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line, condensed
from drd.model.message_conditions import update_words
from drd.model.text import escaped, some
from drd.model.units import format_duration, format_time

_WIDEST = 100
"""Longer lines are hard to read."""
_BY = 10
"""Columns for a name in the timeline."""
_ROUTINE_PLANS = 8


def screen(
    incident: Incident,
    lines: Sequence[Line],
    now: datetime,
    width: int,
    reports: str = "",
    *,
    zone: tzinfo = UTC,
    found: Investigation | None = None,
    updates: Sequence[UpdateClock] = (),
    warnings: Sequence[str] = (),
) -> list[str]:
    """Return the lines of the screen. `reports` says which reports are due, `found` what the
    investigation has shown, `updates` who waits for an update, `warnings` why the screen may be
    wrong. Times are in `zone`."""
    width = min(width, _WIDEST)
    waits = [
        hanging(f"{'' if number else 'update':<9} ", _update(clock, now, zone), width)
        for number, clock in enumerate(updates)
    ]
    shown = [hanging(f"{n:<9} ", text, width) for n, text in summary(found or Investigation(), now)]
    due = hanging("reports   ", reports, width) if reports else []
    told = [line for each in shown for line in each]
    clocks = [line for lines_ in waits for line in lines_]
    return [
        *head(incident, now, width, zone),
        *(line for text in warnings for line in hanging("warning   ", text, width)),
        *clocks,
        *told,
        *due,
        "",
        *timeline(lines, width, zone),
    ]


def _update(clock: UpdateClock, now: datetime, zone: tzinfo) -> str:
    return f"{escaped(clock.audience)} {update_words(clock, now, zone)} ({escaped(clock.why)})"


def head(incident: Incident, now: datetime, width: int, zone: tzinfo) -> list[str]:
    """Return what drd knows about the incident, and what is due next."""
    title = escaped(incident.title) or "(no title)"
    lines = hanging(f"incident {incident.number}  ", title, width)
    lines += hanging("", standing(incident, now, zone), width)
    for name, text in _facts(incident, now, zone):
        lines += hanging(f"{name:<9} ", text, width)
    return lines


def _facts(incident: Incident, now: datetime, zone: tzinfo) -> Iterator[tuple[str, str]]:
    if incident.merged_into is not None:
        yield "see", f"incident {incident.merged_into}, in which this incident continues"
    if incident.state is not State.CLOSED:
        for number, task in enumerate(incident.open_tasks):
            yield "" if number else "to do", _task(task, now, zone)
    for place, item in enumerate(incident.open_actions):
        due = f"due {short(item.due, now, zone)}, {action_state(item, now, zone)}"
        text = f"item {item.entry}: {escaped(item.text)} ({escaped(item.owner)}), {due}"
        yield "" if place else "to change", text
    none = "unknown here" if incident.sealed else "no plan in the scope yet"
    yield "plans", some(incident.plans, _ROUTINE_PLANS) or none
    if incident.roles:
        yield "roles", ", ".join(f"{escaped(r)}: {escaped(n)}" for r, n in incident.roles.items())
    stated = sorted(incident.instants.items(), key=lambda i: i[1])
    if stated:
        yield "moments", ", ".join(f"{name} {short(at, now, zone)}" for name, at in stated)
    if wrong := contradictions(incident.instants):
        anchor = f"drd incident anchor {incident.number} MOMENT TIME --reason TEXT"
        yield "check", f"{'; '.join(wrong)}. Correct the wrong time: {anchor}"
    took = [f"{w} {format_duration(s)}" for w, s in durations(incident).items() if s is not None]
    if took:
        yield "took", ", ".join(took)
    if incident.links:
        yield "see", ", ".join(map(escaped, incident.links))


def _task(task: Task, now: datetime, zone: tzinfo) -> str:
    text = f"task {task.number}: {escaped(task.text)}"
    if task.to:
        text += f" ({escaped(task.to)})"
    if task.due is not None:
        left = (task.due - now).total_seconds()
        late = f"overdue by {format_duration(-left)}" if left < 0 else f"in {format_duration(left)}"
        text += f", due {short(task.due, now, zone)}, {late}"
    elif task.due_after:
        moment = task.due_after.partition(" ")[0]
        text += f", due {task.due_after}: record {moment} (drd incident anchor {moment} TIME)"
    return text


def timeline(lines: Sequence[Line], width: int, zone: tzinfo) -> list[str]:
    """Return the timeline: time, number of the entry, a star, who, what. Times and days are in
    `zone`."""
    told, day = [], ""
    numbers = max((len(str(line.entry)) for line in lines), default=1)
    for line in condensed(lines):
        date, _, clock = format_time(line.at, zone=zone)[:16].partition(" ")
        if date != day:
            told.append(f"{date}, times in {zone}")
            day = date
        star = "*" if line.starred else " "
        begin = f"{clock} {line.entry:>{numbers}}{star} {_name(line.by):<{_BY}} "
        told += hanging(begin, line_text(line, zone), width)
    return told


def _name(name: str) -> str:
    name = escaped(name)
    return name if len(name) <= _BY else f"{name[: _BY - 1]}…"
