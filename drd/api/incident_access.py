"""Decide who may read an incident and act in it, among those who may do this in general. A
restricted incident is only for those who lead it, have a role in it, or opened it."""

from __future__ import annotations

from dataclasses import replace

from drd.api.caller import Caller
from drd.config.daemon import DaemonSettings
from drd.errors import Refused
from drd.flows.incidents.merged import merged_into
from drd.flows.records.restricted import concealed, is_restricted, restricted_incidents
from drd.model.incidents.entries import subject
from drd.model.incidents.incident import Incident
from drd.model.person_names import is_among
from drd.model.playbook_conditions import CONCEALED, incident_of
from drd.model.records import Entry
from drd.model.run import Run
from drd.model.run_details import RunDetail
from drd.ports import Catalogue


def may_read(caller: Caller, incident: Incident, settings: DaemonSettings) -> bool:
    """Return whether the caller may read it. What `--by` says does not count."""
    return not incident.restricted or has_role(caller, incident, settings)


def has_role(caller: Caller, incident: Incident, settings: DaemonSettings) -> bool:
    """Return whether the caller leads the incident, has a role in it, opened it, or is root."""
    if caller.peer.uid == 0:
        return True
    if incident.opened_as and incident.opened_as == caller.user:
        return True
    name = caller.known_as(settings)
    return bool(name) and is_among(name, incident.people)


def require_access(
    catalogue: Catalogue, caller: Caller, number: int, settings: DaemonSettings
) -> Incident:
    """Return the incident. Raises Refused if it is restricted and the caller has no role in it;
    UsageError if there is no such incident. If a restricted incident was merged into this one, this
    one stays open to all: `readable_entries` leaves out what is restricted."""
    incident = catalogue.incidents.get(number)
    if not may_read(caller, incident, settings):
        raise Refused(
            f"incident {number} is restricted, and {caller.person or caller.user} has no "
            "role in it",
            hint="ask the lead of the incident, or root, to give you a role: drd "
            f"incident role {number} ROLE NAME",
        )
    return incident


def require_run_access(
    catalogue: Catalogue, caller: Caller, run: Run, settings: DaemonSettings
) -> None:
    """Raise Refused for the run of a playbook in a restricted incident if the caller does not have
    a role in this incident: steps and inputs of the run show what the incident is about."""
    number = incident_of(run)
    if number is not None:
        require_access(catalogue, caller, number, settings)


def readable_run(catalogue: Catalogue, caller: Caller, run: Run, settings: DaemonSettings) -> Run:
    """Return a run for a list of runs. If the caller may not read the run, leave out its texts and
    the name of the playbook."""
    number = incident_of(run)
    if number is None or may_read(caller, catalogue.incidents.get(number), settings):
        return run
    error = "(restricted)" if run.error else run.error
    return replace(run, plan=CONCEALED, detail=RunDetail(), error=error)


def require_may_admit(
    catalogue: Catalogue, caller: Caller, incident: Incident, settings: DaemonSettings
) -> None:
    """Raise Refused if somebody without a role names the lead or gives a role while there are
    restricted entries: this person could give the access to himself."""
    if has_role(caller, incident, settings):
        return
    private = restricted_incidents(catalogue)
    entries = catalogue.incidents.entries(incident)
    own = (e for e in entries if e.header.subject == subject(incident.number))
    if any(e.sealed or is_restricted(e, private) for e in own):
        raise Refused(
            f"incident {incident.number} has restricted entries, and "
            f"{caller.person or caller.user} has no role in this incident. Only people with a "
            "role in it may name the lead and give roles",
            hint="ask the lead of the incident, or root, to give you a role: drd incident "
            f"role {incident.number} ROLE NAME",
        )


def readable_entries(
    catalogue: Catalogue, caller: Caller, incident: Incident, settings: DaemonSettings
) -> list[Entry]:
    """Return the entries of an incident, and of the incidents that were merged into it. Bodies of
    restricted entries are only for those with a role in the incident of the entry."""
    entries = catalogue.incidents.entries(incident)
    own = {
        subject(one.number)
        for one in (incident, *merged_into(catalogue, incident))
        if has_role(caller, one, settings)
    }
    hidden = {
        e.seq: e
        for e in concealed(
            (e for e in entries if e.header.subject not in own), restricted_incidents(catalogue)
        )
    }
    return [hidden.get(e.seq, e) for e in entries]


def without_contents(incident: Incident) -> Incident:
    """Return what everybody may know of a restricted incident."""
    return replace(
        Incident(incident.number, restricted=True),
        state=incident.state,
        state_at=incident.state_at,
        severity=incident.severity,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
    )
