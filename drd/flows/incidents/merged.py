"""The incidents that continue in another one."""

from __future__ import annotations

from drd.errors import UsageError
from drd.model.incidents.incident import Incident
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


def left_behind(ends: Incident, continues: Incident) -> list[str]:
    """Return sentences about what of an incident does not continue by itself."""
    one, other = ends.number, continues.number
    notes = []
    if ends.severity and not _is_as_severe(continues.severity, ends.severity):
        now = f"is {continues.severity}" if continues.severity else "has no severity"
        notes.append(
            f"incident {one} was {ends.severity}, and incident {other} {now}. To change that: "
            f"drd incident severity {other} {ends.severity}"
        )
    if tasks := ends.open_tasks:
        notes.append(
            f"tasks of incident {one} are not done, and nobody is reminded of them any more: "
            f"{some([task.text for task in tasks], 5)}. To go on with one: drd incident task "
            f'{other} "TEXT"'
        )
    if promised := [name for name, told in ends.told.items() if told.promise is not None]:
        notes.append(
            f"incident {one} promised updates to {some(promised)}, and nobody is reminded of them "
            f"any more. To write to them: drd incident message draft {other} AUDIENCE"
        )
    return notes


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
