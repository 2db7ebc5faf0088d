"""The line of the monitoring plugin (`drd status --nagios`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drd.flows.status.overview import StatusDocument, known_when
from drd.model.clock import age
from drd.model.facts import AlertFacts
from drd.model.status_line import microseconds
from drd.model.status_notes import Told
from drd.model.text import counted, some
from drd.model.units import format_duration
from drd.model.verdicts import Assessment, PlanState

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
        caveats.append("the daemon runs, but cannot record anything")
    if daemon is not None and daemon.at is not None and daemon.state != "running":
        ago = format_duration(age(daemon.at, document.at))
        caveats.insert(
            0,
            f"the daemon is {daemon.state} (last sign of life {ago} ago): scheduled runs "
            "do not start",
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
