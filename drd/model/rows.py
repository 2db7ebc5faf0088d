"""The texts of `drd status` for one plan: its row, and the sentences below. Pure.

Each figure that ages is formatted by `format_duration`, `format_age` or `format_share`, so that
texts made from a `Watched` time have places for them (`drd.model.validity`).
"""

from __future__ import annotations

from datetime import datetime

from drd.model.cells import Cell, Note
from drd.model.exposure import age
from drd.model.facts import AlertFacts
from drd.model.text import escaped
from drd.model.units import format_age, format_duration, format_share, format_time
from drd.model.verdicts import Assessment, CopyAssessment, Readiness, Verdict, lost_words

STYLE = {
    Verdict.MET: "good",
    Verdict.AT_RISK: "warn",
    Verdict.BREACHED: "bad",
    Verdict.UNKNOWN: "warn",
}
READINESS_STYLE = {
    Readiness.READY: "good",
    Readiness.NEEDS_DRILL: "warn",
    Readiness.NOT_READY: "bad",
}
_LOST = ("gone", "emptied", "replaced", "shut")
_ALERT_STYLE = {"critical": "bad", "warning": "warn"}


def row_of(plan: Assessment, at: datetime) -> list[Cell]:
    """Return the row in the order of the table's columns, without the column of copies."""
    rpo, rto = plan.rpo, plan.rto
    lose, back = format_duration(rpo.exposure_s), format_duration(rto.projected_s)
    if rpo.loses_everything:
        lose, back = "everything", back if rto.actual_s is None else "never"
    return [
        Cell(plan.plan),
        Cell(plan.verdict.words, STYLE[plan.verdict]),
        Cell(lose, "" if rpo.verdict is Verdict.MET else STYLE[rpo.verdict]),
        Cell(objective(rpo.objective_s)),
        Cell(back, "" if rto.verdict is Verdict.MET else STYLE[rto.verdict]),
        Cell(objective(rto.objective_s)),
        Cell(_last_drill(plan, at), "bad" if plan.drill.result == "failed" else ""),
        Cell(plan.readiness.value, READINESS_STYLE[plan.readiness]),
        Cell(percent(rpo.attainment)),
    ]


def copies_of(plan: Assessment) -> Cell:
    """Return what the worst of the copies would lose."""
    if not plan.copies:
        return Cell("-")
    behind = max(plan.copies, key=lambda c: (c.verdict.severity, c.exposure_s or 0.0))
    style = "" if behind.verdict is Verdict.MET else STYLE[behind.verdict]
    return Cell("never" if behind.data_time is None else format_duration(behind.exposure_s), style)


def objective(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def _last_drill(plan: Assessment, at: datetime) -> str:
    if plan.drill.last_at is None:
        return "never"
    return drilled(plan.drill.result, age(plan.drill.last_at, at), plan.drill.rehearsed)


def drilled(result: str | None, since_s: float | None, rehearsed: tuple[int, int] | None) -> str:
    ago = "in the future" if since_s is None else f"{format_age(since_s)} ago"
    part = ""
    if rehearsed is not None and rehearsed[0] < rehearsed[1]:
        part = f", {rehearsed[0]} of {rehearsed[1]} steps"
    return f"{result} {ago}{part}"


def percent(share: float | None) -> str:
    """Round down, so that only a window without a miss shows 100 %."""
    if share is None:
        return "-"
    return "100 %" if share >= 1 else format_share(share)


def notes_of(plan: Assessment, at: datetime) -> list[Note]:
    """Return the sentences about a plan: its reasons, each with its alert; then other alerts, and
    copies that are behind.
    """
    notes = []
    alerts = {alert.kind: alert for alert in plan.alerts}
    by_subject = {(alert.kind, alert.subject): alert for alert in plan.alerts}
    for reason in plan.reasons:
        style = "" if reason.verdict is Verdict.MET else STYLE[reason.verdict]
        alert = by_subject.get((reason.kind, reason.subject)) or alerts.get(reason.kind)
        alert = alert or alerts.get(reason.says_why)
        text = f"{reason.text} ({_state(alert, at)})" if alert else reason.text
        notes.append(Note(plan.plan, Cell(text, style), reason.remedy))
    said = {kind for reason in plan.reasons for kind in (reason.kind, reason.says_why)}
    others = [alert for alert in plan.alerts if alert.kind not in said]
    notes += [alert_note(plan.plan, alert, at) for alert in others]
    if "copy-behind" not in alerts:
        states = {r.repository: r.state for r in plan.repositories}
        notes += [
            _behind(plan.plan, c, states.get(c.repository, "ok"))
            for c in plan.copies
            if c.verdict is not Verdict.MET
        ]
    return notes


def alert_note(subject: str, alert: AlertFacts, at: datetime) -> Note:
    text = f"{alert.text} ({_state(alert, at)})"
    return Note(subject, Cell(text, _ALERT_STYLE.get(alert.severity, "")), alert.remedy)


def _behind(plan: str, copy: CopyAssessment, state: str) -> Note:
    """Return the note about a copy that is behind. A copy that cannot be read is not mentioned:
    another copy run does not help.
    """
    name = copy.repository
    text, command = f"copy {name} of {copy.copy_of}", f"drd copy {plan}"
    behind = f"{format_duration(copy.exposure_s)} behind"
    if state in _LOST:
        text += f" {lost_words(state)}: nothing can be read there"
        command = f"drd doctor {plan}"
    elif state == "damaged":
        left = f"the readable data there is {behind}"
        if copy.data_time is None:
            left = "drd knows no complete restore point there"
        text += f" is damaged: {left}"
        command = f"drd verify {plan} --repository {name}"
    elif copy.data_time is not None:
        text += f" is {behind}"
    elif copy.verdict is Verdict.BREACHED:
        text += " contains no restore point with all its snapshots"
    else:
        text += " contains no restore point"
    return Note(plan, Cell(text, STYLE[copy.verdict]), command)


def _state(alert: AlertFacts, at: datetime) -> str:
    """Return an alert's id, and since when it lasts, or who takes care of it."""
    if alert.state != "acknowledged":
        return f"alert {alert.id} for {format_duration(age(alert.since, at))}"
    until = alert.acknowledged_until
    words = f"alert {alert.id}, acknowledged by {escaped(alert.acknowledged_by or '')}"
    return f"{words} until {format_time(until)}" if until else words
