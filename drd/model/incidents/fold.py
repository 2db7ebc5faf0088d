"""What an incident is, from its entries in the chain of records.

It never fails: an entry whose body was redacted, or that somebody changed, has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.actions import changed as with_action
from drd.model.incidents.affected import Affected
from drd.model.incidents.cadence import Told
from drd.model.incidents.due import Due
from drd.model.incidents.incident import Incident, Scoped, Taken, Task
from drd.model.incidents.instants import Instant
from drd.model.incidents.states import State
from drd.model.playbook_names import PREFIX
from drd.model.records import Entry, body_of
from drd.model.text import shortened
from drd.model.units import from_rfc3339


def fold(number: int, entries: Iterable[Entry]) -> Incident:
    """Return the incident that these entries, in their order, make."""
    incident, last = Incident(number), 0
    for entry in entries:
        incident, last = _changed(incident, entry), entry.seq
    return replace(incident, last=last)


def is_private(entry: Entry) -> bool:
    """Return whether the entry itself says that only people with a role may read it."""
    return bool(entry.sealed) or body_of(entry).get("restricted") is True


def time_in(body: Mapping[str, Any], key: str) -> datetime | None:
    """Return the time under a key of a body; None if there is none."""
    with suppress(ValueError, TypeError):
        return from_rfc3339(body[key]) if body.get(key) else None
    return None


def after(incident: Incident, entry: Entry) -> Incident:
    """Return the incident after one more entry."""
    return replace(_changed(incident, entry), last=entry.seq)


def _changed(incident: Incident, entry: Entry) -> Incident:
    """Return what one more entry changes. Those of most kinds change nothing: that has to be cheap,
    since each new entry follows from all before it."""
    is_first = incident.acknowledged_at is None and entry.header.actor_kind == "person"
    if not is_first and entry.header.kind not in EFFECTIVE:
        return incident
    body, change = body_of(entry), _CHANGES.get(entry.header.kind)
    if entry.body is None or entry.is_altered:
        incident = _without_words(incident, entry)
    if change is not None and body:
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            incident = _timed(change(incident, entry, body))
    if entry.header.kind == kinds.DRAFT:
        incident = replace(incident, drafts=incident.drafts + 1)
    if is_first and not _is_of_no_person(entry, body):
        incident = replace(incident, acknowledged_at=entry.header.at)
    return incident


UNREAD = frozenset({kinds.REPORT, kinds.INTAKE, kinds.LEFT_OUT})
"""Kinds of entries that do not mean that somebody has examined the incident, even if a person's
program made them."""


def _is_of_no_person(entry: Entry, body: Mapping[str, Any]) -> bool:
    return entry.header.kind in UNREAD or bool(body.get("intake"))


def _without_words(incident: Incident, entry: Entry) -> Incident:
    """Return what follows from the header of an entry that is encrypted, redacted or changed.
    Whether the opening said that the incident is restricted cannot be read any more, so it counts
    as restricted: a redaction must not show to more people what it did not remove."""
    at, kind = entry.header.at, entry.header.kind
    if entry.sealed and kind not in _NO_FACT:
        incident = replace(incident, sealed=incident.sealed + 1, severity="", lead="")
    if kind in (kinds.OPEN, kinds.REPORT):
        state = State.DETECTED if kind == kinds.OPEN else State.REPORTED
        by, actor_kind = entry.header.actor_name, entry.header.actor_kind
        opened = replace(incident, state=state, opened_by=by, state_at=at, opened_at=at)
        opened_as = by if kind == kinds.OPEN and actor_kind == "person" else incident.opened_as
        return replace(opened, opened_as=opened_as, restricted=True, first=entry.seq)
    if kind == kinds.CLOSE:
        return replace(incident, state=State.CLOSED, state_at=at, closed_at=at, ended=entry.seq)
    return incident


def _opened(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    at = entry.header.at
    tasks = tuple(replace(t, done_at=t.done_at or at) for t in incident.tasks)
    return replace(
        incident,
        title=str(body["title"]) or incident.title,
        state=State.DETECTED,
        state_at=at,
        severity=str(body.get("severity") or ""),
        restricted=bool(body.get("restricted")) or incident.restricted,
        opened_at=at,
        opened_by=_by(entry, body),
        opened_as=entry.header.actor_name if entry.header.actor_kind == "person" else "",
        rule=str(body.get("rule") or "") or incident.rule,
        lead=str(body.get("lead") or ""),
        instants={**incident.instants, **_instants(body.get("instants") or {})},
        scope=(*incident.scope, *_reached(entry, body, incident.plans)),
        tasks=tasks,
        first=entry.seq,
    )


def _reported(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    triage = Task(
        1,
        "examine the report: open an incident from it, or close the report",
        due=time_in(body, "due"),
    )
    return replace(
        incident,
        title=shortened(str(body["text"]), kinds.LONGEST_TITLE),
        state=State.REPORTED,
        state_at=entry.header.at,
        opened_at=entry.header.at,
        opened_by=_by(entry, body),
        restricted=bool(body.get("restricted")),
        rule=str(body.get("rule") or ""),
        instants={Instant.SUSPECTED: entry.header.at, **_instants(body.get("instants") or {})},
        scope=_reached(entry, body),
        tasks=(triage,),
        first=entry.seq,
    )


def _reached(
    entry: Entry, body: Mapping[str, Any], known: Collection[str] = ()
) -> tuple[Scoped, ...]:
    """Return the plans that an entry names, without those that are in the scope already."""
    plans = map(str, body.get("plans", ()))
    return tuple(Scoped(plan, entry.seq) for plan in plans if plan not in known)


def _instants(named: Mapping[str, Any]) -> dict[Instant, datetime]:
    known = {i.value: i for i in Instant}
    return {
        known[name]: at
        for name in named
        if name in known and (at := time_in(named, name)) is not None
    }


def _anchored(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    name, at = Instant(body["instant"]), time_in(body, "at")
    kept = {i: t for i, t in incident.instants.items() if i is not name}
    return replace(incident, instants=kept if at is None else {**kept, name: at})


def _state(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    state = State(body["to"])
    ends = state is State.CLOSED
    return replace(
        incident,
        state=state,
        state_at=entry.header.at,
        closed_at=entry.header.at if ends else None,
        ended=entry.seq if ends else 0,
    )


def _closed(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    merged = body.get("merged_into")
    return replace(
        incident,
        state=State.CLOSED,
        state_at=entry.header.at,
        closed_at=entry.header.at,
        ended=entry.seq,
        merged_into=int(merged) if merged is not None else incident.merged_into,
    )


def _scoped(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    removed = {str(plan) for plan in body.get("remove", ())}
    scope = [
        replace(s, until=entry.seq) if s.until is None and s.plan in removed else s
        for s in incident.scope
    ]
    there = {s.plan for s in scope if s.until is None}
    scope += [Scoped(str(p), entry.seq) for p in body.get("add", ()) if str(p) not in there]
    return replace(incident, scope=tuple(scope))


def _affected(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    affected = tuple(Affected.from_json(one) for one in body["affected"])
    plans = {one.plan for one in affected}
    kept = tuple(one for one in incident.affected if one.plan not in plans)
    return replace(incident, affected=(*kept, *affected))


def _tasked(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    if (done := body.get("done")) is not None:
        at, by = entry.header.at, _by(entry, body)
        tasks = [
            replace(t, done_at=t.done_at or at, done_by=t.done_by or by) if t.number == done else t
            for t in incident.tasks
        ]
        return replace(incident, tasks=tuple(tasks))
    made = Task(
        len(incident.tasks) + 1,
        str(body["text"]),
        str(body.get("to") or ""),
        time_in(body, "due"),
        origin=str(body.get("origin") or ""),
        due_after=str(body.get("due_after") or ""),
    )
    return replace(incident, tasks=(*incident.tasks, made))


def _timed(incident: Incident) -> Incident:
    """Return the incident with the due times that count from its moments."""
    tasks = [
        replace(t, due=Due.parse(t.due_after).at(incident.instants)) if t.due_after else t
        for t in incident.tasks
    ]
    return replace(incident, tasks=tuple(tasks))


def _contained(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    of_run = f"{PREFIX}{body['playbook']}/{body['run']}"
    plan = str(body.get("of_plan") or "")
    known = replace(incident, playbooks=(*incident.playbooks, of_run))
    return _scoped(known, entry, {"add": [plan]}) if plan else known


def _roled(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    role, name = str(body["role"]), str(body.get("to") or "")
    kept = {r: n for r, n in incident.roles.items() if r != role}
    return replace(incident, roles={**kept, role: name} if name else kept)


def _starred(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    entry = int(body["entry"])
    starred = incident.starred | {entry} if body.get("on", True) else incident.starred - {entry}
    return replace(incident, starred=starred)


def _corrected(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    corrected, text = int(body["entry"]), str(body["text"])
    is_title = corrected == incident.first and body.get("restricted") is not True
    title = text if is_title else incident.title
    return replace(incident, title=title, corrected={**incident.corrected, corrected: text})


def _told(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    if body["act"] != "send":
        return incident
    told = {str(body["audience"]): Told(entry.header.at, time_in(body, "next_update"))}
    return replace(incident, told={**incident.told, **told})


def _merged(incident: Incident, _: Entry, body: Mapping[str, Any]) -> Incident:
    instants = dict(incident.instants)
    for name in body.get("moments") or ():
        at = time_in(body["moments"], name)
        if at is not None:
            instants[Instant(name)] = min(at, instants.get(Instant(name), at))
    merged = (*incident.merged, int(body["from"]))
    incident = replace(incident, merged=merged, instants=instants)
    told = dict(incident.told)
    for name, one in (body.get("told") or {}).items():
        at, promise = time_in(one, "at"), time_in(one, "next_update")
        if at is not None:
            told[name] = _sooner(told.get(name), Told(at, promise))
    return replace(incident, told=told)


def _sooner(own: Told | None, other: Told) -> Told:
    """Return what an audience expects of both: the sooner update."""
    if own is None:
        return other
    promises = [p for p in (own.promise, other.promise) if p is not None]
    return replace(own, promise=min(promises, default=None))


def _taken_in(incident: Incident, entry: Entry, body: Mapping[str, Any]) -> Incident:
    """A start in the future is that of a wrong clock: it counts as when the alert came."""
    started = time_in(body, "started_at")
    started = min(started, entry.header.at) if started is not None else None
    labels = body.get("labels")
    product = str(labels.get("product") or "") if isinstance(labels, Mapping) else ""
    taken = Taken(str(body["content"]), bool(body["resolved"]), started, product)
    return replace(incident, taken={**incident.taken, str(body["key"]): taken})


def _by(entry: Entry, body: Mapping[str, Any]) -> str:
    return str(body.get("by") or entry.header.actor_name)


_CHANGES: Mapping[str, Callable[[Incident, Entry, Mapping[str, Any]], Incident]] = {
    kinds.OPEN: _opened,
    kinds.REPORT: _reported,
    kinds.ANCHOR: _anchored,
    kinds.STATE: _state,
    kinds.CLOSE: _closed,
    kinds.SCOPE: _scoped,
    kinds.AFFECTED: _affected,
    kinds.RECOVERY: lambda i, entry, body: _scoped(i, entry, {"add": [body["plan"]]}),
    kinds.PLAYBOOK: _contained,
    kinds.TASK: _tasked,
    kinds.ROLE: _roled,
    kinds.STAR: _starred,
    kinds.CORRECT: _corrected,
    kinds.MERGE: _merged,
    kinds.INTAKE: _taken_in,
    kinds.ASSIGN: lambda i, _, body: replace(i, lead=str(body.get("to") or "")),
    kinds.SEVERITY: lambda i, _, body: replace(i, severity=str(body["to"])),
    kinds.MESSAGE: _told,
    kinds.LINK: lambda i, _, body: replace(i, links=(*i.links, str(body["to"]))),
    kinds.ACTION: lambda i, entry, body: replace(i, actions=with_action(i.actions, entry, body)),
}

_NO_FACT = frozenset(
    {kinds.CORRECT, kinds.STAR, kinds.LINK, kinds.DRAFT, kinds.INTAKE, kinds.ACTION}
)
"""Kinds of entries that say nothing about severity, people, plans, moments and updates."""

EFFECTIVE = frozenset({*_CHANGES, kinds.DRAFT})
"""Kinds of entries that change an incident. Of all other kinds, only the first entry by a person,
and the number of the newest entry, count."""
