"""The incidents that continue in another one."""

from __future__ import annotations

from drd.errors import UsageError
from drd.model.incidents.incident import Incident
from drd.model.playbook_conditions import incident_of
from drd.model.run import Run
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
            f"incident role {one} ROLE NAME"
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
