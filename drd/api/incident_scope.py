"""The document of `drd incident scope`: what an incident reaches."""

from __future__ import annotations

from collections.abc import Mapping

from drd.api.values import Document
from drd.model.incidents.affected import Affected, declared
from drd.model.incidents.incident import Incident
from drd.model.inventory import dependents
from drd.model.plan import Plan


def affected_of(incident: Incident, plans: Mapping[str, Plan]) -> list[Affected]:
    """Return what was recorded, and what the plans say where nothing was."""
    recorded = {one.plan for one in incident.affected}
    found = [one for one in incident.affected if one.plan in incident.plans]
    for name in incident.plans:
        if name in plans and name not in recorded:
            found += [declared(name, data) for data in plans[name].inventory.data]
    return found


def scope_document(incident: Incident, plans: Mapping[str, Plan]) -> Document:
    """Return what the incident reaches, by these plans that can be read. `counted` of a plan is
    false while its people could be counted, and were not; null if they cannot be counted."""
    return {
        "incident": incident.number,
        "title": incident.title,
        "plans": [_plan(incident, name, plans.get(name)) for name in incident.plans],
        "dependents": [{"plan": d.plan, "why": d.why} for d in dependents(plans, incident.plans)],
        "data": [one.to_json() for one in affected_of(incident, plans)],
    }


def _plan(incident: Incident, name: str, plan: Plan | None) -> Document:
    inventory = plan.inventory if plan is not None else None
    countable = inventory is not None and any(data.count is not None for data in inventory.data)
    return {
        "plan": name,
        "known": plan is not None,
        "tier": inventory.tier if inventory is not None else None,
        "business_owner": (inventory.business_owner or None) if inventory is not None else None,
        "credentials": [c.name for c in inventory.credentials] if inventory is not None else [],
        "counted": name in {one.plan for one in incident.affected} if countable else None,
    }
