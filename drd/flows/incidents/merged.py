"""The incidents that continue in another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from drd.errors import UsageError
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.instants import ENDS, Instant
from drd.model.incidents.states import SEVERITIES
from drd.model.playbook_conditions import incident_of
from drd.model.run import Run
from drd.model.text import some
from drd.model.units import to_rfc3339
from drd.ports import Catalogue


def merged_into(catalogue: Catalogue, incident: Incident) -> list[Incident]:
    """Return the incidents that were merged into this one, directly or through others."""
    merged: dict[int, Incident] = {}
    ahead = list(incident.merged)
    while ahead:
        number = ahead.pop()
        if number not in merged and number != incident.number:
            merged[number] = catalogue.incidents.get(number)
            ahead += merged[number].merged
    return list(merged.values())


def continuing(catalogue: Catalogue, number: int) -> list[Incident]:
    """Return the incident of this number, and those in which it continues, one after the other."""
    incident = catalogue.incidents.get(number)
    found = {number: incident}
    while incident.merged_into is not None and not incident.is_open:
        if incident.merged_into in found:
            break
        incident = catalogue.incidents.get(incident.merged_into)
        found[incident.number] = incident
    return list(found.values())


def has_restricted(catalogue: Catalogue, incident: Incident) -> bool:
    """Return whether the incident, or an incident that was merged into it, is restricted."""
    return incident.restricted or any(one.restricted for one in merged_into(catalogue, incident))


def hides(catalogue: Catalogue, run: Run) -> bool:
    """Return whether texts that everybody can read must not name the playbook of a run: its
    incident is restricted, or not in this catalogue."""
    number = incident_of(run)
    try:
        return number is not None and has_restricted(catalogue, catalogue.incidents.get(number))
    except UsageError:
        return True


def moments_of(ends: Incident, continues: Incident) -> dict[str, str]:
    """Return the moments of an incident that count in the one in which it continues, if they are
    the earlier ones: deadlines and the choice of a clean restore point depend on them. An incident
    that was opened before all its moments was suspected then. None of a restricted incident in one
    that everybody reads."""
    if ends.restricted and not continues.restricted:
        return {}
    moments = {name: at for name, at in ends.instants.items() if name not in ENDS}
    first = ends.first_sign
    if first is not None and first not in moments.values():
        moments[Instant.SUSPECTED] = first
    return {name.value: to_rfc3339(at) for name, at in moments.items()}


def tasks_of(ends: Incident, continues: Incident) -> list[dict[str, Any]]:
    """Return the bodies of the tasks that go on in the incident in which another continues. None of
    a restricted incident in one that everybody reads."""
    if ends.restricted and not continues.restricted:
        return []
    there = {_same(task) for task in continues.open_tasks}
    return [
        {
            "text": task.text,
            "to": task.to,
            "due": task.due,
            "due_after": task.due_after or None,
            "origin": task.origin,
            "from": ends.number,
        }
        for task in ends.tasks
        if task.done_at is None and _same(task) not in there
    ]


def told_of(ends: Incident, continues: Incident) -> dict[str, Any]:
    """Return by audience the updates that an incident promised, and that are due in the one in
    which it continues. None of a restricted incident in one that everybody reads."""
    if ends.restricted and not continues.restricted:
        return {}
    return {
        name: {"at": to_rfc3339(one.at), "next_update": to_rfc3339(one.promise)}
        for name, one in ends.told.items()
        if one.promise is not None
    }


def _same(task: Task) -> tuple[str, str, str]:
    return task.text, task.to, task.origin


def left_behind(ends: Incident, continues: Incident) -> list[str]:
    """Return sentences about what of an incident goes on in the other, and what does not."""
    one, other = ends.number, continues.number
    notes = []
    if ends.severity and not _is_as_severe(continues.severity, ends.severity):
        now = f"is {continues.severity}" if continues.severity else "has no severity"
        notes.append(
            f"incident {one} was {ends.severity}, and incident {other} {now}. To change that: "
            f"drd incident severity {other} {ends.severity}"
        )
    tasks = [task.text for task in ends.open_tasks]
    promised = [name for name, told in ends.told.items() if told.promise is not None]
    if ends.restricted and not continues.restricted:
        return [*notes, *_stays(one, other, tasks, promised)]
    if tasks:
        notes.append(f"tasks of incident {one} go on in incident {other}: {some(tasks, 5)}")
    if promised:
        notes.append(
            f"updates that incident {one} promised to {some(promised)} are due in incident {other}"
        )
    return notes


def _stays(one: int, other: int, tasks: Sequence[str], promised: Sequence[str]) -> Iterator[str]:
    """Yield sentences about what of a restricted incident does not go on in an open one."""
    if tasks:
        yield (
            f"tasks of incident {one} are not done, and nobody is reminded of them any more: "
            f"{some(tasks, 5)}. To go on with one, which everybody can then see: drd incident task "
            f'{other} "TEXT"'
        )
    if promised:
        yield (
            f"incident {one} promised updates to {some(promised)}, and nobody is reminded of them "
            f"any more. To write to them: drd incident message draft {other} AUDIENCE"
        )


def _is_as_severe(severity: str, other: str) -> bool:
    if severity in SEVERITIES and other in SEVERITIES:
        return SEVERITIES.index(severity) >= SEVERITIES.index(other)
    return severity == other


def merge_notes(ends: Incident, continues: Incident) -> list[str]:
    """Return sentences about who will see what after a merge, if one of the two incidents is
    restricted."""
    one, other = ends.number, continues.number
    if ends.restricted and not continues.restricted:
        told = (
            f"incident {one} is restricted, but incident {other} is not. Only people with a "
            f"role in incident {one} can read its entries, and its plans are not in the "
            f"scope of incident {other}. To add a plan (everybody can then see it): drd "
            f"incident scope {other} --add PLAN. To let somebody read the entries: drd "
            f"incident role {one} ROLE NAME. The moments of incident {one} do not count in "
            f"incident {other}: if one is earlier, record it there, because deadlines count from "
            f"it: drd incident anchor {other} MOMENT TIME"
        )
        return [told]
    if continues.restricted and not ends.restricted:
        told = (
            f"incident {other} is restricted, but incident {one} is not. Only people with a "
            f"role in incident {other} can read how the incident continues. To give somebody "
            f"a role: drd incident role {other} ROLE NAME"
        )
        return [told]
    return []
