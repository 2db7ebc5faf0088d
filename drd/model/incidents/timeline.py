"""What happened in an incident, in one order: its own entries, and what drd did with the plans in
its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from drd.model.incidents import actions, duties, investigation, messages
from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected
from drd.model.incidents.entries import number_of, subject
from drd.model.incidents.fold import after, time_in
from drd.model.incidents.incident import Incident
from drd.model.incidents.preservation import preservation_words
from drd.model.incidents.rotations import rotation_words
from drd.model.playbook_names import playbook_of
from drd.model.records import Entry, body_of
from drd.model.text import counted, shortened, some
from drd.model.units import format_time, from_rfc3339

_REDACTED = "(redacted)"
_LONGEST_OF_OTHERS = 300
_SEALED = "(restricted)"
_ALTERED = "(changed after it was recorded: drd records verify)"
MEASURE = "measure: "
"""The beginning of the note of a measure."""
_BEFORE = " before"
"""The key, which no body contains, of the incident as it was before the entry."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `at` is when it happened, `noted_at` when it was recorded. `plan` is
    empty if it is not about a single plan. A `measure` is something that a person noted as done
    about the incident. `count` is the number of similar entries in a row that this line stands for;
    the last of them was at `until`."""

    entry: int
    at: datetime
    noted_at: datetime
    kind: str
    by: str
    text: str
    plan: str = ""
    starred: bool = False
    corrected: bool = False
    routine: bool = False
    measure: bool = False
    count: int = 1
    until: datetime | None = None


_ZONE = " zone"
"""The key, which no body contains, of the zone of times in texts."""


def timeline(incident: Incident, entries: Iterable[Entry], zone: tzinfo = UTC) -> list[Line]:
    """Return a line for each entry, in the order in which things happened, with the entries of
    incidents that continue in this one. Corrections are applied. Times in texts are in `zone`."""
    told, known = list(entries), dict[int, Incident]()
    before = []
    for entry in told:
        number = number_of(entry.header.subject) or incident.number
        before.append(known.get(number) or Incident(number))
        if entry.header.subject == subject(number):
            known[number] = after(before[-1], entry)
    others = [one for number, one in known.items() if number != incident.number]
    # By these entries alone: the reader may not see a correction that is restricted.
    own = replace(incident, corrected=known.get(incident.number, Incident(0)).corrected)
    whole = _with(own, others, told)
    lines = [_line(whole, was, entry, zone) for was, entry in zip(before, told, strict=True)]
    return sorted(lines, key=lambda line: (line.at, line.entry))


def _with(incident: Incident, others: Iterable[Incident], entries: Iterable[Entry]) -> Incident:
    """Return the incident with what `others`, which continue in it, have corrected and starred."""
    own = subject(incident.number)
    unstarred = {
        body_of(entry).get("entry")
        for entry in entries
        if (entry.header.kind, entry.header.subject) == (kinds.STAR, own)
    } - incident.starred
    corrected, starred = dict[int, str](), set[int]()
    for other in others:
        corrected |= other.corrected
        starred |= other.starred
    return replace(
        incident,
        corrected={**corrected, **incident.corrected},
        starred=incident.starred | (starred - unstarred),
    )


def condensed(lines: Iterable[Line]) -> list[Line]:
    """Return the lines; routine lines in a row that say the same become one line."""
    told: list[Line] = []
    for line in lines:
        last = told[-1] if told else None
        if last is not None and line.routine and last.routine and _same(last, line):
            told[-1] = replace(last, count=last.count + 1, until=line.at)
        else:
            told.append(line)
    return told


def _same(one: Line, other: Line) -> bool:
    return (one.kind, one.plan, _head(one.text)) == (other.kind, other.plan, _head(other.text))


def _head(text: str) -> str:
    """Return a text without the run at its end."""
    return text.rpartition(" (run ")[0] or text


def _line(incident: Incident, before: Incident, entry: Entry, zone: tzinfo) -> Line:
    header, body = entry.header, body_of(entry)
    text = _ALTERED if entry.is_altered else _SEALED if entry.sealed else _REDACTED
    if body:
        text = _text_of(header.kind, {**body, _BEFORE: before, _ZONE: zone})
    at = time_in(body, "happened_at") or header.at
    seq = entry.seq
    return Line(
        entry=seq,
        at=at,
        noted_at=header.at,
        kind=header.kind,
        by=_who(entry, body),
        text=incident.corrected.get(seq, text) if body else text,
        plan=_plan(body),
        starred=seq in incident.starred,
        corrected=seq in incident.corrected,
        routine=_is_routine(entry, body),
        measure=body.get("measure") is True,
    )


def _plan(body: Mapping[str, Any]) -> str:
    plan = str(body.get("plan") or "")
    return plan if playbook_of(plan) is None else ""


def _who(entry: Entry, body: Mapping[str, Any]) -> str:
    if entry.header.actor_kind != "person":
        return "drd"
    return str(body.get("by") or entry.header.actor_name)


def _is_routine(entry: Entry, body: Mapping[str, Any]) -> bool:
    by_person = entry.header.actor_kind == "person"
    return entry.header.kind == "run.end" and body.get("state") == "succeeded" and not by_person


def _text_of(kind: str, body: Mapping[str, Any]) -> str:
    with suppress(KeyError, ValueError, TypeError, AttributeError):
        return _WORDS[kind](body)
    return kind


def _because(body: Mapping[str, Any]) -> str:
    return f": {body['reason']}" if body.get("reason") else ""


def _time(body: Mapping[str, Any], key: str) -> str:
    return format_time(from_rfc3339(body[key]), zone=body[_ZONE])


def _opened(body: Mapping[str, Any]) -> str:
    parts = [f"opened: {body['title'] or body[_BEFORE].title}"]
    if body.get("severity"):
        parts.append(f"severity {body['severity']}")
    if body.get("plans"):
        parts.append(f"plans {some(body['plans'], 10)}")
    if body.get("rule"):
        by = (
            f"an alert of {body['intake']}"
            if body.get("intake")
            else f"the rule for {body['rule']}"
        )
        parts.append(f"by {by}")
    return "; ".join(parts)


def _reported(body: Mapping[str, Any]) -> str:
    plans = f"; plans {some(body['plans'], 10)}" if body.get("plans") else ""
    return f"reported: {body['text']}{plans}"


def _anchored(body: Mapping[str, Any]) -> str:
    name = str(body["instant"])
    if not body.get("at"):
        return f"{name}: the time was removed{_because(body)}"
    known = {i.value: at for i, at in body[_BEFORE].instants.items()}
    corrects = f", not {format_time(known[name], zone=body[_ZONE])}" if name in known else ""
    return f"{name}: {_time(body, 'at')}{corrects}{_because(body)}"


def _state(body: Mapping[str, Any]) -> str:
    return f"state {body['to']}, was {body[_BEFORE].state}{_because(body)}"


def _scoped(body: Mapping[str, Any]) -> str:
    parts = []
    if body.get("add"):
        parts.append(f"into the scope: {some(body['add'], 10)}")
    if body.get("remove"):
        parts.append(f"out of the scope: {some(body['remove'], 10)}")
    return "; ".join(parts) + _because(body)


def _affected(body: Mapping[str, Any]) -> str:
    affected = [Affected.from_json(one) for one in body["affected"]]
    return "; ".join(f"{one.plan}: {one.what}: {one.words()}" for one in affected)


def _tasked(body: Mapping[str, Any]) -> str:
    if body.get("done") is not None:
        tasks = {task.number: f": {task.text}" for task in body[_BEFORE].tasks}
        return f"task {body['done']} done{tasks.get(body['done'], '')}"
    to = f" ({body['to']})" if body.get("to") else ""
    due = f", due {_time(body, 'due')}" if body.get("due") else ""
    if body.get("due_after"):
        due = f", due {body['due_after']}"
    of = f" of incident {body['from']}" if body.get("from") else ""
    return f"task{of}: {body['text']}{to}{due}"


def _action(body: Mapping[str, Any]) -> str:
    due = _time(body, "due") if body.get("due") else ""
    return actions.words(body, due, body[_BEFORE].actions)


def _roled(body: Mapping[str, Any]) -> str:
    return f"{body['role']}: {body['to'] or 'nobody'}"


def _starred(body: Mapping[str, Any]) -> str:
    word = "starred" if body.get("on", True) else "not starred any more"
    return f"entry {body['entry']}: {word}"


def _closed(body: Mapping[str, Any]) -> str:
    if body.get("merged_into") is not None:
        return f"closed: continues in incident {body['merged_into']}{_because(body)}"
    return f"closed{_because(body)}"


def _taken_in(body: Mapping[str, Any]) -> str:
    """Say what an alert of another system says, and what of it is new."""
    before = body[_BEFORE].taken.get(body["key"])
    if body["resolved"]:
        word = "is over"
    elif before is None:
        word = "alert"
    else:
        word = "alert again" if before.resolved else "says now"
    told = f"{body['source']} {word}: {body['title']}"
    if body["text"] and not body["resolved"]:
        told += f": {shortened(str(body['text']), _LONGEST_OF_OTHERS)}"
    details = [f"severity {body['severity_of_source']}"] * bool(body["severity_of_source"])
    details += [f"plan {body['plan_of_source']}"] * bool(body["plan_of_source"])
    return f"{told} ({', '.join(details)})" if details else told


def _left_out(body: Mapping[str, Any]) -> str:
    reasons = "; ".join(f"{count} because {why}" for why, count in sorted(body["count"].items()))
    number = sum(body["count"].values())
    alerts = "alert of" if number == 1 else "alerts of"
    return f"{number} {alerts} {body['source']} left out since {_time(body, 'since')}: {reasons}"


def _run_ended(body: Mapping[str, Any]) -> str:
    error = f": {body['error']}" if body.get("error") else ""
    about = f" {body['about']}" if body.get("about") else ""
    of = playbook_of(str(body["plan"]))
    what = f"{body['run_kind']}{about} of {body['plan']}" if of is None else f"playbook {of}"
    return f"{what} {body['state']}{error} (run {body['run']})"


def _measured(body: Mapping[str, Any]) -> str:
    measured = body["evidence"]
    point = f" from point {measured['point']}" if measured.get("point") else ""
    why = f": {measured['reason']}" if measured.get("reason") else ""
    run = measured["run"]
    return f"{body['run_kind']} of {measured['plan']}{point}: {measured['result']}{why} (run {run})"


def _recovering(body: Mapping[str, Any]) -> str:
    clean = body.get("clean")
    of = f", clean restore point {body['point']}: {clean}" if clean else ""
    return f"recovery of {body['plan']} begins, target {body['target']}{of}"


def _decided(body: Mapping[str, Any]) -> str:
    step = f"step {body['step']} of " if body.get("step") else ""
    comment = f": {body['comment']}" if body.get("comment") else ""
    if not step and (words := _OF_RECOVERY.get(str(body["action"]))) is not None:
        of = f" of {body['plan']}" if body.get("plan") else ""
        return f"{body['action']} of recovery {body['run']}{of}: {words}{comment}"
    return f"{body['action']}: {step}run {body['run']}{comment}"


def _plan_forgotten(body: Mapping[str, Any]) -> str:
    """Say which plan drd forgot, and how much of it: unknown where root acted for another user."""
    had = body.get("had") or {}
    told = (
        counted(had["points"], "restore point"),
        counted(had["runs"], "run"),
        counted(had["evidence"], "piece of evidence", "pieces of evidence"),
    ) if had else ()  # fmt: skip
    return f"forgot plan {body['plan']}{': ' * bool(told)}{', '.join(told)}"


_OF_RECOVERY = {
    "undo": "puts back the data from before the recovery",
    "redo": "puts back the data that the recovery restored",
    "done": "removes the kept copies for good",
}


def _merged(body: Mapping[str, Any]) -> str:
    times = body.get("moments") or {}
    moments = ", ".join(
        f"{name} {format_time(from_rfc3339(at), zone=body[_ZONE])}" for name, at in times.items()
    )
    known = f"; its moments: {moments}" if moments else ""
    promised = ", ".join(
        f"{name} {format_time(from_rfc3339(one['next_update']), zone=body[_ZONE])}"
        for name, one in (body.get("told") or {}).items()
    )
    known += f"; its promised updates: {promised}" if promised else ""
    return f"incident {body['from']} was merged into this incident{known}{_because(body)}"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    kinds.OPEN: _opened,
    kinds.REPORT: _reported,
    kinds.LOG: lambda b: f"{MEASURE if b.get('measure') is True else ''}{b['text']}",
    kinds.CORRECT: lambda b: f"entry {b['entry']} corrected{_because(b)}",
    kinds.STAR: _starred,
    kinds.ASSIGN: lambda b: f"led by {b['to'] or 'nobody'}",
    kinds.ROLE: _roled,
    kinds.TASK: _tasked,
    kinds.SCOPE: _scoped,
    kinds.AFFECTED: _affected,
    kinds.ANCHOR: _anchored,
    kinds.STATE: _state,
    kinds.SEVERITY: lambda b: f"severity {b['to']}{_because(b)}",
    kinds.DECIDE: lambda b: f"decided: {b['text']}{_because(b)}",
    kinds.LINK: lambda b: f"see {b['to']}{': ' + str(b['text']) if b.get('text') else ''}",
    kinds.OBLIGATION: lambda b: duties.words(b, b[_ZONE]) + _because(b),
    kinds.DRAFT: messages.draft_words,
    kinds.MESSAGE: lambda b: messages.words(b) + _because(b),
    kinds.RECOVERY: _recovering,
    kinds.ROTATED: rotation_words,
    kinds.PRESERVE: preservation_words,
    kinds.PLAYBOOK: lambda b: f"playbook {b['playbook']} begins (run {b['run']})",
    kinds.HYPOTHESIS: investigation.hypothesis_words,
    kinds.INDICATOR: investigation.indicator_words,
    kinds.EVIDENCE: investigation.evidence_words,
    kinds.CAUSE: investigation.cause_words,
    kinds.ACTION: _action,
    kinds.MERGE: _merged,
    kinds.CLOSE: _closed,
    kinds.INTAKE: _taken_in,
    kinds.LEFT_OUT: _left_out,
    "run.end": _run_ended,
    "evidence": _measured,
    "decision": _decided,
    "run.cancel": lambda b: f"cancelled: {b['run_kind']} of {b['plan']} (run {b['run']})",
    "hold": lambda b: f"holds point {b['point']} of {b['plan']}{_because(b)}",
    "release": lambda b: f"releases point {b['point']} of {b['plan']}{_because(b)}",
    "point.forget": lambda b: f"forgot point {b['point']} of {b['plan']}{_because(b)}",
    "plan.forget": _plan_forgotten,
    "alert.open": lambda b: f"alert {b['severity']}: {b['plan']}: {b['text']}",
    "alert.resolved": lambda b: f"alert resolved: {b['plan']}: {b['text']}",
    "alert.ack": lambda b: f"acknowledged alert {b['alert']}",
}
