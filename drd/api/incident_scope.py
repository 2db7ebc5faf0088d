"""The document of `drd incident scope`: what an incident reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drd import secrets
from drd.api.values import Document, time_of
from drd.flows.state.returned_credentials import Returned, returned
from drd.kinds.registry import servers_of
from drd.model.incidents.affected import Affected, declared
from drd.model.incidents.first_sign import FirstSign, first_sign
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.incidents.rotations import Rotation, rotations, since
from drd.model.inventory import Dependent, dependents
from drd.model.plan import Plan
from drd.model.records import Entry
from drd.ports import Catalogue


def affected_of(incident: Incident, plans: Mapping[str, Plan]) -> list[Affected]:
    """Return for each data set of the plans whom the incident affects: the recorded value, or, if
    none was recorded, the value in the plan."""
    recorded = {one.plan for one in incident.affected}
    concerned = [one for one in incident.affected if one.plan in incident.plans]
    for name in incident.plans:
        if name in plans and name not in recorded:
            concerned += [declared(name, data) for data in plans[name].inventory.data]
    return concerned


def scope_document(
    catalogue: Catalogue,
    incident: Incident,
    plans: Mapping[str, Plan],
    entries: Iterable[Entry] = (),
) -> Document:
    """Return which plans, systems and people the incident affects. `plans` are the plans that drd
    can read. In the document, `counted` of a plan is false if drd can count its people but has not
    done so, and null if drd cannot count them; `rotated` are the credentials that were replaced
    since the first sign, as the `entries` say; `returned` are credentials whose former value a
    later recovery has restored: these are not in `rotated`."""
    read = list(entries)
    sign, done = first_sign(incident, investigation(read)), rotations(read)
    return {
        "incident": incident.number,
        "title": incident.title,
        "plans": [
            {
                **_plan(incident, name, plans.get(name)),
                **_rotated(catalogue, name, plans.get(name), sign, done),
            }
            for name in incident.plans
        ],
        "dependents": [{"plan": d.plan, "why": d.why} for d in reached(plans, incident)],
        "data": [one.to_json() for one in affected_of(incident, plans)],
    }


def reached(plans: Mapping[str, Plan], incident: Incident) -> list[Dependent]:
    """Return the other plans that the incident reaches, as `dependents`."""
    servers = {name: servers_of(plan, secrets.peek) for name, plan in plans.items()}
    return dependents(plans, incident.plans, servers)


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


def _rotated(
    catalogue: Catalogue,
    name: str,
    plan: Plan | None,
    sign: FirstSign | None,
    done: Sequence[Rotation],
) -> Document:
    if sign is None:
        return {"rotated": [], "returned": []}
    names = dict.fromkeys(one.credential for one in done if name in one.plans)
    back = returned(catalogue, plan, done, sign.at) if plan is not None else ()
    known = {one.credential for one in back}
    return {
        "rotated": [
            one for one in names if one not in known and since(done, name, one, sign.at) is not None
        ],
        "returned": [_returned(one) for one in back],
    }


def _returned(one: Returned) -> Document:
    return {
        "credential": one.credential,
        "rotated_at": time_of(one.rotation.at),
        "component": one.component,
        "run": one.run,
        "point": one.point,
        "restored_at": time_of(one.at),
    }
