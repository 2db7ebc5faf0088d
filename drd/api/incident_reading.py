"""Make the document of an incident, and read it back for a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from drd.api.action_documents import action_of
from drd.api.incident_documents import incident_document, timeline_document
from drd.api.investigation_documents import investigation_document
from drd.api.values import Document
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.config.regimes import regimes_of
from drd.errors import DrdError
from drd.model.incidents.cadence import UpdateClock
from drd.model.incidents.doubts import altered, doubts, unread
from drd.model.incidents.incident import Incident, Scoped, Task
from drd.model.incidents.instants import Instant
from drd.model.incidents.investigation import investigation
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line, timeline
from drd.model.obligations.summary import summary
from drd.model.records import Entry
from drd.model.units import from_rfc3339


def shown_document(
    app: App, incident: Incident, zone: tzinfo, entries: Sequence[Entry] | None = None
) -> Document:
    """Return an incident with its timeline, and with the reports that are due, in words. Times in
    texts are in `zone`. `entries` are the entries of the timeline; None means all of them,
    unchanged."""
    if entries is None:
        entries = app.catalogue.incidents.entries(incident)
    lines = timeline(incident, entries, zone)
    reports = _reports(app, incident.number, entries) if incident.is_open else ""
    return {
        **incident_document(incident),
        "investigation": investigation_document(investigation(entries)),
        "timeline": timeline_document(lines),
        "reports": reports or None,
        "warnings": list(doubts(incident, altered(entries))),
    }


def _reports(app: App, number: int, entries: Sequence[Entry]) -> str:
    """Say which reports are due. What is wrong with a file must not hide the incident."""
    try:
        table = duty_table(app, number, regimes_of(app.settings), entries)
        if told := unread(table.incident):
            return f"unknown here: {told}"
        return summary(table.states(app.clock.now()), table.case.zone, number)
    except DrdError as error:
        return f"unknown: {error.line}"


def incident_of(document: Mapping[str, Any]) -> Incident:
    """Return the incident of a document, with the values that a screen shows."""
    return Incident(
        document["incident"],
        title=document["title"] or "",
        state=State(document["state"]),
        state_at=_time(document["state_since"]),
        severity=document["severity"] or "",
        restricted=document["restricted"],
        opened_at=_time(document["opened_at"]),
        acknowledged_at=_time(document["acknowledged_at"]),
        closed_at=_time(document["closed_at"]),
        lead=document["lead"] or "",
        roles=document["roles"],
        instants={Instant(name): from_rfc3339(at) for name, at in document["moments"].items()},
        tasks=tuple(
            Task(
                task["task"],
                task["text"],
                to=task["to"] or "",
                due=_time(task["due_at"]),
                due_after=task.get("due_after") or "",  # an older service does not say it
                done_at=_time(task["done_at"]),
                done_by=task["done_by"] or "",
            )
            for task in document["tasks"]
        ),
        actions=tuple(map(action_of, document.get("actions", ()))),  # an older service has none
        scope=tuple(Scoped(plan, 0) for plan in document["plans"]),
        links=tuple(document["links"]),
        merged_into=document["merged_into"],
        sealed=document.get("unreadable", 0),  # an older service does not say it
        last=document["entry"],
    )


def updates_of(document: Mapping[str, Any]) -> tuple[UpdateClock, ...]:
    """Return the updates that people wait for, by the document of an incident."""
    return tuple(
        UpdateClock(one["audience"], from_rfc3339(one["due_at"]), one["why"])
        for one in document["updates"]
    )


def lines_of(documents: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Return the lines of a timeline."""
    return [
        Line(
            entry=one["entry"],
            at=from_rfc3339(one["at"]),
            noted_at=from_rfc3339(one["noted_at"]),
            kind=one["kind"],
            by=one["by"],
            text=one["text"],
            plan=one["plan"] or "",
            starred=one["starred"],
            corrected=one["corrected"],
            routine=one["routine"],
        )
        for one in documents
    ]


def _time(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text is not None else None
