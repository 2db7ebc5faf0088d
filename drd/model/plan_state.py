"""The one word for a plan, and the one reason for it. Pure.

Verdict and readiness are two judgements that may differ. Everything that shows the state of a plan
(`drd status`, the API, the figures, the plugin's line) shows the worst of both, as it is judged
here.
"""

from __future__ import annotations

from collections.abc import Sequence

from drd.model.facts import AlertFacts
from drd.model.repositories import DAMAGED, GONE, SILENT
from drd.model.units import format_duration, format_time
from drd.model.verdicts import (
    SECRET_MISSING,
    STATE_OF_READINESS,
    UNFINISHED,
    CopyAssessment,
    PlanState,
    Readiness,
    Reason,
    Remark,
    RepositoryAssessment,
    Verdict,
    lost_words,
    same_words,
    worst_state,
)
from drd.named import NamedTuple

LOOKING_AHEAD = ("not-ready", "repository-unreachable", "repository-unprotected")
"""Kinds of alerts about readiness findings."""

_LOST = ("gone", "emptied", "replaced", "shut")
_FIRST = {GONE: 1, SILENT: 1, DAMAGED: 1, UNFINISHED: 2}
"""Kinds of reasons that are more important for a person than `unknown`; with 2, also
than a breach: a backup of a host that is half restored does not mend it."""


class Judged(NamedTuple):
    """What the state of a plan is made of, in the form of an `Assessment`."""

    plan: str
    readiness: Readiness
    reasons: Sequence[Reason]
    alerts: Sequence[AlertFacts]
    copies: Sequence[CopyAssessment] = ()
    repositories: Sequence[RepositoryAssessment] = ()


def state_of(judged: Judged) -> tuple[PlanState, tuple[Remark, ...]]:
    """Return the state, and all remarks, the worst first."""
    remarks = _remarks(judged)
    worst = max([r.state.severity for r in remarks], default=0)
    withheld = STATE_OF_READINESS[judged.readiness]
    if worst < withheld.severity:
        remarks = _with_readiness(judged.plan, remarks, withheld)
    remarks.sort(key=_rank, reverse=True)
    return worst_state([PlanState.OK, *(r.state for r in remarks)]), tuple(remarks)


def _rank(remark: Remark) -> tuple[bool, bool, bool, int]:
    """Return how much a person has to know this first. That a plan was never drilled, so that its
    state is unknown, is less urgent than a repository that cannot be read, or a secret of which
    only the running service has a copy. A recovery over production that stopped in the middle comes
    before a breach, too: whoever reads of the breach first makes a backup of half-restored data."""
    state, first = remark.state, 0 if remark.state is PlanState.OK else remark.first
    return first > 1, state is PlanState.BREACHED, first > 0, state.severity


def _with_readiness(plan: str, remarks: list[Remark], withheld: PlanState) -> list[Remark]:
    """Return the remarks with one for what withholds `ready`: that of an alert of the last
    readiness check, else a new one.
    """
    for i, remark in enumerate(remarks):
        if remark.alert is not None and remark.alert.kind in LOOKING_AHEAD:
            return [*remarks[:i], remark._replace(state=withheld), *remarks[i + 1 :]]
    text = "the plan as it is now is not proven"
    return [*remarks, Remark(withheld, text, f"drd readiness {plan}")]


def _remarks(judged: Judged) -> list[Remark]:
    """Return the reasons, each with its alert; then other alerts, and copies that are behind."""
    if not judged.alerts:  # most plans
        remarks = [
            Remark(r.state, r.text, r.remedy, first=_FIRST.get(r.kind, 0)) for r in judged.reasons
        ]
        return remarks + _copies_behind(judged)
    alerts = {alert.kind: alert for alert in judged.alerts}
    by_subject = {(alert.kind, alert.subject): alert for alert in judged.alerts}
    remarks = []
    for reason in judged.reasons:
        alert = by_subject.get((reason.kind, reason.subject)) or alerts.get(reason.kind)
        alert = alert or alerts.get(reason.says_why)
        state = worst_state((reason.state, _of_alert(alert)))
        first = _FIRST.get(reason.kind, 0)
        remarks.append(Remark(state, reason.text, reason.remedy, alert, first))
    said = {kind for reason in judged.reasons for kind in (reason.kind, reason.says_why)}
    remarks += [
        Remark(_of_alert(alert), alert.text, alert.remedy, alert, int(alert.kind == SECRET_MISSING))
        for alert in judged.alerts
        if alert.kind not in said
    ]
    return remarks + _copies_behind(judged)


def _of_alert(alert: AlertFacts | None) -> PlanState:
    """An alert that wants a person puts the plan at risk, also one that is acknowledged."""
    wants = alert is not None and alert.severity != "info"
    return PlanState.AT_RISK if wants else PlanState.OK


def _copies_behind(judged: Judged) -> list[Remark]:
    said = {
        a.subject
        for a in judged.alerts
        if a.kind == "copy-behind" and _of_alert(a) is not PlanState.OK
    }
    behind = [c for c in judged.copies if c.verdict is not Verdict.MET and c.repository not in said]
    if not behind:
        return []
    states = {r.repository: r.state for r in judged.repositories}
    return [_behind(judged.plan, c, states.get(c.repository, "ok")) for c in behind]


def _behind(plan: str, copy: CopyAssessment, state: str) -> Remark:
    """Return the remark about a copy that is behind. A copy that cannot be read is not mentioned:
    another copy run does not help.
    """
    name = copy.repository
    text, command = f"copy {name} of {copy.copy_of}", f"drd copy {plan}"
    behind = f"{format_duration(copy.exposure_s)} behind"
    if state in _LOST:
        text += f" {lost_words(state)}: drd cannot read data there"
        command = f"drd doctor {plan}"
    elif state == "same":
        text, command = same_words(name, copy.copy_of), f"drd doctor {plan}"
    elif state == "damaged":
        left = f"the readable data there is {behind}"
        if copy.data_time is None:
            left = "drd does not know a complete restore point there"
        text += f" is damaged: {left}"
        command = f"drd verify {plan} --repository {name}"
    elif copy.first_by is not None:
        by = format_time(copy.first_by)
        text = f"no copy of {copy.copy_of} to {name} was made yet; the first copy is due by {by}"
        return Remark(PlanState.OK, text, command)
    elif copy.data_time is not None:
        text += f" is {behind}"
    elif copy.verdict is Verdict.BREACHED:
        text += " does not contain a restore point with all its snapshots"
    else:
        text += " does not contain a restore point"
    return Remark(PlanState.AT_RISK, text, command)
