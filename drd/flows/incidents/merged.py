"""The incidents that continue in another one."""

from __future__ import annotations

from drd.model.incidents.incident import Incident
from drd.ports import Catalogue


def merged_into(catalogue: Catalogue, incident: Incident) -> list[Incident]:
    """Return the incidents that were merged into this one, directly or not."""
    found: dict[int, Incident] = {}
    ahead = list(incident.merged)
    while ahead:
        number = ahead.pop()
        if number not in found and number != incident.number:
            found[number] = catalogue.incidents.get(number)
            ahead += found[number].merged
    return list(found.values())


def has_restricted(catalogue: Catalogue, incident: Incident) -> bool:
    """Return whether the incident is restricted, or one that was merged into it."""
    return incident.restricted or any(one.restricted for one in merged_into(catalogue, incident))


def merge_notes(ends: Incident, continues: Incident) -> list[str]:
    """Say who will see what after a merge, if one of the two incidents is restricted."""
    one, other = ends.number, continues.number
    if ends.restricted and not continues.restricted:
        told = (
            f"incident {one} is restricted, and incident {other} is not. Only those with a role in "
            f"incident {one} can read its entries, and its plans are not in the scope of incident "
            f"{other}. To add a plan, which all can then see: drd incident scope {other} --add "
            f"PLAN. To let somebody read the entries: drd incident role {one} ROLE NAME"
        )
        return [told]
    if continues.restricted and not ends.restricted:
        told = (
            f"incident {other} is restricted, and incident {one} is not. Only those with a role in "
            f"incident {other} can read how it continues: drd incident role {other} ROLE NAME"
        )
        return [told]
    return []
