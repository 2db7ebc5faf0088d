"""The rows of incidents, which follow from their entries in the chain of records.

They exist so that the end of a run and `drd status` find the open incidents at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from drd.catalogue.engine import upsert
from drd.catalogue.record_rows import WHOLE, to_entry
from drd.catalogue.record_tables import incidents as table
from drd.catalogue.record_tables import records
from drd.model.incidents.cadence import Cadence
from drd.model.incidents.entries import OPEN, PREFIX, REPORT, number_of, subject
from drd.model.incidents.fold import EFFECTIVE, UNREAD, fold
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.records import Entry

_EFFECTIVE = sorted(EFFECTIVE)
_NO_NOTES = sorted(EFFECTIVE | UNREAD)

_OPEN = select(table.c.plans).where(
    table.c.closed_at.is_(None), table.c.state != str(State.REPORTED)
)


def in_scope(connection: Connection, plan: str) -> bool:
    """Return whether a plan is in the scope of an open incident."""
    return any(plan in row.plans for row in connection.execute(_OPEN))


def own_entries(connection: Connection, number: int) -> list[Entry]:
    """Return the entries of an incident, in their order."""
    query = WHOLE.where(records.c.subject == subject(number)).order_by(records.c.seq)
    return [to_entry(row) for row in connection.execute(query)]


def own(connection: Connection, number: int) -> Incident | None:
    """Return an incident by its own entries; None if there are none. Reads only entries that change
    the incident: most entries are notes."""
    of_it = records.c.subject == subject(number)
    last = connection.scalar(select(func.max(records.c.seq)).where(of_it))
    if last is None:
        return None
    first_of_person = (
        select(func.min(records.c.seq))
        .where(of_it, records.c.actor_kind == "person", records.c.kind.not_in(_NO_NOTES))
        .scalar_subquery()
    )
    counts = or_(records.c.kind.in_(_EFFECTIVE), records.c.seq == first_of_person)
    rows = connection.execute(WHOLE.where(of_it, counts).order_by(records.c.seq))
    return replace(fold(number, map(to_entry, rows)), last=last)


def folded(connection: Connection, number: int, cadence: Cadence) -> Incident | None:
    """Return an incident, with the scope of the incidents that were merged into it, and with the
    clocks for `cadence`; None if it has no entries."""
    incident = own(connection, number)
    return None if incident is None else whole(connection, incident, cadence)


def whole(connection: Connection, incident: Incident, cadence: Cadence) -> Incident:
    """Return an incident that follows from its own entries, with everything else that belongs to
    it. The scope of a restricted incident is not merged into an open incident, because everybody
    can read that."""
    incident = replace(incident, cadence=cadence)
    others = (own(connection, n) for n in family(connection, incident)[1:])
    seen = [o for o in others if o is not None and (incident.restricted or not o.restricted)]
    scope = tuple(scoped for other in seen for scoped in other.scope)
    playbooks = tuple(run for other in seen for run in other.playbooks)
    if not scope and not playbooks:
        return incident
    return replace(
        incident,
        scope=(*incident.scope, *scope),
        playbooks=(*incident.playbooks, *playbooks),
    )


def family(connection: Connection, incident: Incident) -> list[int]:
    """Return the numbers of the incident and of all that were merged into it, directly or not."""
    numbers, ahead = [incident.number], list(incident.merged)
    while ahead:
        number = ahead.pop(0)
        if number not in numbers:
            numbers.append(number)
            other = own(connection, number)
            ahead += other.merged if other is not None else ()
    return numbers


def about_scope(connection: Connection, incident: Incident) -> list[Entry]:
    """Return the entries about the plans in the scope, while they were in it and the incident was
    open, and about the runs of playbooks in the incident, in their order."""
    entries_by_number: dict[int, Entry] = {}
    for of_run in incident.playbooks:
        query = WHOLE.where(records.c.subject == of_run)
        entries_by_number |= {row.seq: to_entry(row) for row in connection.execute(query)}
    for scoped in incident.scope:
        of_plan = records.c.subject.startswith(f"{scoped.plan}/", autoescape=True)
        query = WHOLE.where(
            records.c.seq >= scoped.since, or_(records.c.subject == scoped.plan, of_plan)
        )
        until = scoped.until
        if until is None and incident.closed_at is not None:
            until = incident.ended or incident.last
        if until is not None:
            query = query.where(records.c.seq <= until)
        entries_by_number |= {row.seq: to_entry(row) for row in connection.execute(query)}
    return [entries_by_number[seq] for seq in sorted(entries_by_number)]


def store(connection: Connection, incident: Incident) -> None:
    """Write the row of an incident."""
    upsert(connection, table, values_of(incident))


def redacted(connection: Connection, entry: Entry, cadence: Cadence) -> None:
    """Remove from the row of an incident what a redacted entry said."""
    number = number_of(entry.header.subject)
    incident = folded(connection, number, cadence) if number is not None else None
    if incident is not None:
        store(connection, incident)


def known_numbers(connection: Connection) -> Sequence[int]:
    """Return the numbers of all incidents and reports that have entries."""
    query = select(records.c.subject).where(records.c.kind.in_((OPEN, REPORT))).distinct()
    numbers = (number_of(row.subject) for row in connection.execute(query))
    return sorted({number for number in numbers if number is not None})


def all_numbers(connection: Connection) -> set[int]:
    """Return the numbers that entries of any kind are about."""
    about = records.c.subject.startswith(f"{PREFIX}:", autoescape=True)
    query = select(records.c.subject).where(about).distinct()
    numbers = (number_of(row.subject) for row in connection.execute(query))
    return {number for number in numbers if number is not None}


def to_row(row: Row[Any]) -> dict[str, Any]:
    """Return the values of a row."""
    return dict(row._mapping)  # noqa: SLF001 (its public name)


def values_of(incident: Incident) -> dict[str, Any]:
    """Return the values of the row that follows from the entries of an incident."""
    return {
        "number": incident.number,
        "title": incident.title,
        "state": str(incident.state),
        "severity": incident.severity,
        "restricted": incident.restricted,
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "plans": list(incident.plans),
        "next_at": incident.next_at,
        "rule": incident.rule,
    }
