"""The status document for programs: the JSON contract and the monitoring plugin's line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from drd.flows.status.overview import DaemonState, StatusDocument, known_when
from drd.model.drd_facts import IncidentFacts
from drd.model.exposure import age
from drd.model.facts import AlertFacts
from drd.model.status_line import microseconds
from drd.model.status_notes import Told
from drd.model.text import counted, some
from drd.model.units import format_duration, to_rfc3339
from drd.model.verdicts import (
    Assessment,
    ComponentAssessment,
    CopyAssessment,
    PlanState,
    Remark,
    RepositoryAssessment,
    ScenarioAssessment,
)

SCHEMA = 1

MOST_MEASURED = 50
"""The number of plans whose figures fit into the 4 KiB of a line that every monitoring system
accepts.
"""

_OK, _WARNING, _CRITICAL, _UNKNOWN = (
    (0, "OK"),
    (1, "WARNING"),
    (2, "CRITICAL"),
    (3, "UNKNOWN"),
)
_NAGIOS = {
    PlanState.OK: _OK,
    PlanState.AT_RISK: _WARNING,
    PlanState.NEEDS_DRILL: _WARNING,
    PlanState.NOT_READY: _WARNING,
    PlanState.BREACHED: _CRITICAL,
    PlanState.UNKNOWN: _UNKNOWN,
}


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
    `rpo.loses_everything`: no point is left to restore. A reason ends with the command to run next,
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
        "state": plan.state.value,
        "why": _remark(plan.why) if plan.why else None,
        "verdict": plan.verdict.value,
        "readiness": plan.readiness.value,
        "rpo": {
            "objective_s": rpo.objective_s,
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
        "size_bytes": component.size_bytes,
        "verdict": component.verdict.value,
    }


def _copy(copy: CopyAssessment) -> dict[str, Any]:
    return {
        "repository": copy.repository,
        "copy_of": copy.copy_of,
        "data_time": to_rfc3339(copy.data_time) if copy.data_time else None,
        "exposure_s": _seconds(copy.exposure_s),
        "verdict": copy.verdict.value,
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


def nagios(document: StatusDocument) -> tuple[int, str]:
    """Return the exit code (0 ok, 1 at risk, needs drill or not ready, 2 breached, 3 unknown) and
    the one line with performance data: exposure and projected recovery time, with the objectives as
    critical thresholds.

    With more plans than a monitoring system accepts data of, the line has only the number of plans
    in each state. While an alert is critical, or a daemon that was not stopped is silent, the
    code is never 0.
    """
    state = document.state_of_plans
    code, word = _NAGIOS[document.state]
    plans = document.plans
    critical = _critical(document)
    daemon = document.daemon
    silent = daemon is not None and (daemon.state == "silent" or daemon.mute)
    if code == 0 and (critical or silent or _is_broken(document)):
        code, word = _WARNING
    count = len(plans) + len(document.briefs)
    if not count:
        return code, f"DRD {word} - no plan is loaded"
    bad = _worst_plans(document)
    if state is PlanState.OK or not bad:
        text = f"{counted(count, 'plan')} {state.value}"
    else:
        text = f"{len(bad)} of {count} {state.value}: "
        text += some([f"{plan}: {reason}" for plan, reason in bad], 3, between="; ")
    if critical and state.severity < PlanState.UNKNOWN.severity:
        text += f"; critical: {some(critical, 1, between='; ')}"
    text += _caveats(document)
    data = _counted(document) if count > MOST_MEASURED else _measured(plans)
    return code, unbarred(f"DRD {word} - {text}") + ("|" + " ".join(data) if data else "")


def _is_broken(document: StatusDocument) -> bool:
    """Return whether drd.yaml is broken."""
    wrong = document.configuration
    told = any(alert.kind == "configuration" for alert in document.alerts)
    return told or (wrong is not None and wrong.broken)


def _caveats(document: StatusDocument) -> str:
    """Return what to add to the line if no daemon works, or if the summary is old."""
    caveats, daemon = [document.trouble or "", known_when(document)], document.daemon
    caveats += [alert.text for alert in document.alerts if alert.kind == "configuration"]
    if document.incidents:
        caveats.append(f"{counted(len(document.incidents), 'incident')} open")
    caveats.append(document.records_damage)
    if document.configuration is not None:
        caveats.append(document.configuration.text)
    if daemon is not None and daemon.mute:
        caveats.append("the daemon runs, but can record nothing")
    if daemon is not None and daemon.at is not None and daemon.state != "running":
        ago = format_duration(age(daemon.at, document.at))
        caveats.insert(
            0, f"the daemon is {daemon.state}, seen {ago} ago: scheduled runs do not start"
        )
    return "".join(f"; {text}" for text in caveats if text)


def _worst_plans(document: StatusDocument) -> list[tuple[str, str]]:
    """List the plans that have the worst state, by name, each with the reason."""
    now, worst = microseconds(document.at), document.state_of_plans
    bad_plans = [
        (p.plan, p.why.text) for p in document.plans if p.state is worst and p.why is not None
    ]
    bad_plans += [
        (p.plan, p.telling(now).first)
        for p in document.briefs
        if isinstance(p, Told) and p.state is worst and p.has_reason
    ]
    return sorted(bad_plans, key=lambda f: f[0])


def _critical(document: StatusDocument) -> list[str]:
    critical = [(p.plan, a.text) for p in document.plans for a in p.alerts if _is_critical(a)]
    for brief in document.briefs:
        if isinstance(brief, Told):
            critical += [(brief.plan, message) for message in brief.critical]
    critical.sort(key=lambda f: f[0])
    critical += [("drd", a.text) for a in document.alerts if _is_critical(a)]
    critical += [("drd", document.copied)] if document.copied is not None else []
    return [f"{of}: {message}" for of, message in critical]


def _is_critical(alert: AlertFacts) -> bool:
    return alert.severity == "critical"


def _measured(plans: Sequence[Assessment]) -> list[str]:
    return [
        f"{name}_{p.plan}={_value(value)};;{objective:g}"
        for p in plans
        for name, value, objective in (
            ("exposure", p.rpo.exposure_s, p.rpo.objective_s),
            ("rto", p.rto.projected_s, p.rto.objective_s),
        )
        if objective is not None
    ]


def _counted(document: StatusDocument) -> list[str]:
    counts = Counter([*(p.state for p in document.plans), *(b.state for b in document.briefs)])
    return [
        f"{state.value.replace(' ', '_')}={counts[state]};;;0;{counts.total()}" for state in _NAGIOS
    ]


def unbarred(text: str) -> str:
    """Return one line without `|`, which would begin the performance data."""
    return " ".join(text.replace("|", "/").split())


def _value(seconds: float | None) -> str:
    """Format a value; `U` is the plugin convention's word for an unknown one."""
    return "U" if seconds is None else f"{seconds:.0f}s"
