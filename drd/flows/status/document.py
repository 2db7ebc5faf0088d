"""The status document for programs: the JSON contract."""

from __future__ import annotations

from drd.flows.status.overview import DaemonState, StatusDocument
from drd.model.drd_facts import IncidentFacts
from drd.model.facts import AlertFacts, LogFacts
from drd.model.units import to_rfc3339
from drd.model.verdicts import (
    Assessment,
    ComponentAssessment,
    CopyAssessment,
    Remark,
    RepositoryAssessment,
    ScenarioAssessment,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1


def status_json(document: StatusDocument) -> dict[str, Any]:
    """Return the document of `drd status --json`: times in RFC 3339 UTC, durations in seconds,
    sizes in bytes, null for unknown values; plans by name.

    `state` is the one word, the worst of verdict and readiness, and at least `not ready` while
    there is `trouble`; a plan's `why` is the reason for
    it with the command that leads out, null if it is ok. `remarks` are all of them, the worst
    first.
    `alerts` beside the plans are about drd itself, `daemon` is null if none ever ran, `trouble` is
    null while everything can be recorded, `configuration` is null unless drd.yaml is broken or not
    reloaded, `written_at` is null for the catalogue's own answer, else
    when drd wrote the summary that was read. `missing_packages` are extensions of drd.yaml that are
    not installed. `incidents` are those that are not closed; without title and plans, if they are
    restricted. `records_damage` is what the last check of the records found, null for nothing.
    `copied_state` is why this state may be a copy of one that another drd uses, null if nothing
    suggests that. `rpo.exposure_s` is null if it is unknown, and if
    `rpo.loses_everything`: no point is left to restore. If a component has an RPO of its own,
    `rpo.component` is the component that is worst against its own objective, and the figures in
    `rpo` are of this component; else null. A reason ends with the command to run next,
    if any.
    """
    return {
        "schema": SCHEMA,
        "at": to_rfc3339(document.at),
        "verdict": document.verdict.value,
        "state": document.state.value,
        "plans": [_plan(p) for p in document.plans],
        "alerts": [_alert(a, "") for a in document.alerts],
        "daemon": _daemon(document.daemon),
        "trouble": document.trouble,
        "written_at": to_rfc3339(document.written_at) if document.written_at else None,
        "missing_packages": list(document.missing_packages),
        "configuration": document.configuration._asdict() if document.configuration else None,
        "incidents": [_incident(i) for i in document.incidents],
        "records_damage": document.records_damage or None,
        "copied_state": document.copied,
    }


def _plan(plan: Assessment) -> dict[str, Any]:
    rpo, rto, drill = plan.rpo, plan.rto, plan.drill
    return {
        "plan": plan.plan,
        "owner": plan.owner,
        "description": plan.description or None,
        "state": plan.state.value,
        "why": _remark(plan.why) if plan.why else None,
        "verdict": plan.verdict.value,
        "readiness": plan.readiness.value,
        "rpo": {
            "objective_s": rpo.objective_s,
            "component": rpo.component or None,
            "exposure_s": _seconds(rpo.exposure_s),
            "achievable_s": _seconds(rpo.achievable_s),
            "loses_everything": rpo.loses_everything,
            "attainment": _share(rpo.attainment),
            "verdict": rpo.verdict.value,
        },
        "rto": {
            "objective_s": rto.objective_s,
            "actual_s": _seconds(rto.actual_s),
            "projected_s": _seconds(rto.projected_s),
            "verdict": rto.verdict.value,
        },
        "drill": {
            "last_at": to_rfc3339(drill.last_at) if drill.last_at else None,
            "result": drill.result,
            "due_at": to_rfc3339(drill.due_at) if drill.due_at else None,
            "before_loss": drill.before_loss or None,
            "verdict": drill.verdict.value,
            "steps": {"rehearsed": drill.rehearsed[0], "of": drill.rehearsed[1]}
            if drill.rehearsed
            else None,
            "scenarios": [_scenario(s) for s in drill.scenarios],
        },
        "components": [_component(c) for c in plan.components],
        "copies": [_copy(c) for c in plan.copies],
        "repositories": [_repository(r) for r in plan.repositories],
        "alerts": [_alert(a, plan.plan) for a in plan.alerts],
        "reasons": [str(r) for r in plan.reasons],
        "remarks": [_remark(r) for r in plan.remarks],
        "points": _points(plan),
        "last_backup": _last_backup(plan),
        "retention": _retention(plan),
        "holds": [
            {
                "point": hold.point,
                "reason": hold.reason,
                "until": to_rfc3339(hold.until) if hold.until else None,
                "by": hold.by,
            }
            for hold in plan.holds
        ],
    }


def _points(plan: Assessment) -> dict[str, Any]:
    newest = plan.newest
    return {
        "complete": plan.points,
        "newest": newest.id if newest else None,
        "data_time": to_rfc3339(newest.data_time) if newest else None,
        "size_bytes": newest.bytes if newest else None,
        "consistency": [spread.to_json() for spread in newest.consistency] if newest else [],
    }


def _last_backup(plan: Assessment) -> dict[str, Any] | None:
    if not plan.backup:
        return None
    return {
        "run": plan.backup.run,
        "started_at": to_rfc3339(plan.backup.started_at),
        "finished_at": to_rfc3339(plan.backup.finished_at),
        "added_bytes": plan.backup.added_bytes,
    }


def _retention(plan: Assessment) -> dict[str, Any]:
    return {
        "paused_since": to_rfc3339(plan.paused.since) if plan.paused else None,
        "pauses": [
            {
                "code": pause.code,
                "subject": pause.subject,
                "text": pause.text,
                "remedy": pause.remedy,
                "hint": pause.remedy,
            }
            for pause in (plan.paused.pauses if plan.paused else ())
        ],
        "waiting": plan.waiting,
    }


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "state": remark.state.value,
        "text": remark.text,
        "command": remark.remedy,
        "alert": remark.alert.id if remark.alert else None,
    }


def _component(component: ComponentAssessment) -> dict[str, Any]:
    return {
        "component": component.component,
        "kind": component.kind,
        "data_time": to_rfc3339(component.data_time) if component.data_time else None,
        "exposure_s": _seconds(component.exposure_s),
        "objective_s": component.rpo_s,
        "achievable_s": _seconds(component.achievable_s),
        "size_bytes": component.size_bytes,
        "verdict": component.verdict.value,
        **({"log": _log(component.log)} if component.log is not None else {}),
    }


def _log(log: LogFacts) -> dict[str, Any]:
    return {
        "reachable": [{"from": to_rfc3339(a), "to": to_rfc3339(b)} for a, b in log.spans],
        "trouble": log.trouble or None,
        "remedy": log.remedy or None,
    }


def _copy(copy: CopyAssessment) -> dict[str, Any]:
    return {
        "repository": copy.repository,
        "copy_of": copy.copy_of,
        "data_time": to_rfc3339(copy.data_time) if copy.data_time else None,
        "exposure_s": _seconds(copy.exposure_s),
        "verdict": copy.verdict.value,
        "first_by": to_rfc3339(copy.first_by) if copy.first_by else None,
    }


def _repository(repository: RepositoryAssessment) -> dict[str, Any]:
    data_time = repository.data_time
    return {
        "repository": repository.repository,
        "copy_of": repository.copy_of,
        "state": repository.state,
        "since": to_rfc3339(repository.since) if repository.since else None,
        "data_time": to_rfc3339(data_time) if data_time else None,
    }


def _scenario(scenario: ScenarioAssessment) -> dict[str, Any]:
    return {
        "scenario": scenario.scenario,
        "wanted": scenario.wanted,
        "repository": scenario.repository or None,
        "last_at": to_rfc3339(scenario.last_at) if scenario.last_at else None,
        "result": scenario.result,
        "due_at": to_rfc3339(scenario.due_at) if scenario.due_at else None,
        "valid_until": to_rfc3339(scenario.valid_until) if scenario.valid_until else None,
        "verdict": scenario.verdict.value,
        "unproven": [u._asdict() for u in scenario.unproven],
    }


def _alert(alert: AlertFacts, plan: str) -> dict[str, Any]:
    return {
        "alert": alert.id,
        "plan": plan,
        "kind": alert.kind,
        "code": alert.code or alert.kind,
        "subject": alert.subject,
        "state": alert.state,
        "since": to_rfc3339(alert.since),
        "message": alert.text,
        "severity": alert.severity,
        "command": alert.remedy,
        "text": alert.text,
        "remedy": alert.remedy,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_until": to_rfc3339(alert.acknowledged_until)
        if alert.acknowledged_until
        else None,
    }


def _incident(incident: IncidentFacts) -> dict[str, Any]:
    return {
        "incident": incident.number,
        "title": incident.title or None,
        "state": incident.state,
        "severity": incident.severity or None,
        "restricted": incident.restricted,
        "opened_at": to_rfc3339(incident.opened_at) if incident.opened_at else None,
        "next_at": to_rfc3339(incident.next_at) if incident.next_at else None,
        "plans": list(incident.plans),
        "only_here_since": to_rfc3339(incident.only_here_since)
        if incident.only_here_since
        else None,
    }


def _daemon(daemon: DaemonState | None) -> dict[str, Any] | None:
    if daemon is None:
        return None
    last_at = to_rfc3339(daemon.at) if daemon.at else None
    return {"state": daemon.state, "last_at": last_at, "version": daemon.version}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _share(value: float | None) -> float | None:
    """Round down to a millionth: a missed second never rounds to a full share."""
    return None if value is None else int(value * 1_000_000) / 1_000_000
