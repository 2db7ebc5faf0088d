"""The documents of `drd incident`."""

from __future__ import annotations

from collections.abc import Iterable

from drd.api.action_documents import action_document
from drd.api.values import Document, text_of, time_of
from drd.model.incidents.durations import durations
from drd.model.incidents.incident import Incident
from drd.model.incidents.timeline import Line


def incident_document(incident: Incident) -> Document:
    """Return what is known about an incident, without its timeline. Durations are in seconds, null
    while a moment that they need was not stated. `unreadable` counts entries that are encrypted on
    this host: because of these, severity, people, plans and moments may be different."""
    return {
        "incident": incident.number,
        "title": text_of(incident.title),
        "state": str(incident.state),
        "state_since": time_of(incident.state_at),
        "severity": incident.severity or None,
        "restricted": incident.restricted,
        "opened_at": time_of(incident.opened_at),
        "opened_by": text_of(incident.opened_by),
        "acknowledged_at": time_of(incident.acknowledged_at),
        "closed_at": time_of(incident.closed_at),
        "lead": text_of(incident.lead or None),
        "roles": {role: text_of(name) for role, name in incident.roles.items()},
        "plans": list(incident.plans),
        "moments": {i.value: time_of(at) for i, at in incident.instants.items()},
        "took_s": dict(durations(incident)),
        "tasks": [
            {
                "task": task.number,
                "text": text_of(task.text),
                "to": text_of(task.to or None),
                "due_at": time_of(task.due),
                "due_after": text_of(task.due_after or None),
                "done_at": time_of(task.done_at),
                "done_by": text_of(task.done_by or None),
            }
            for task in incident.tasks
        ],
        "actions": [action_document(incident.number, item) for item in incident.actions],
        "updates": [
            {"audience": text_of(c.audience), "due_at": time_of(c.due), "why": c.why}
            for c in incident.updates
        ],
        "next_at": time_of(incident.next_at),
        "links": list(incident.links),
        "merged_into": incident.merged_into,
        "merged": list(incident.merged),
        "rule": incident.rule or None,
        "entry": incident.last,
        "unreadable": incident.sealed,
    }


def timeline_document(lines: Iterable[Line]) -> list[Document]:
    """Return the timeline: `at` is when something happened, `noted_at` when it was recorded."""
    return [
        {
            "entry": line.entry,
            "at": time_of(line.at),
            "noted_at": time_of(line.noted_at),
            "kind": line.kind,
            "by": text_of(line.by),
            "plan": line.plan or None,
            "text": text_of(line.text),
            "starred": line.starred,
            "corrected": line.corrected,
            "routine": line.routine,
        }
        for line in lines
    ]
