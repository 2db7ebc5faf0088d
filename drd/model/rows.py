"""The texts of `drd status` for one plan: its row, and the sentences below. Pure.

Each figure that ages is formatted by `format_duration`, `format_age` or `format_share`, so that
texts made from a `Watched` time have places for them (`drd.model.validity`).
"""

from __future__ import annotations

from datetime import datetime

from drd.model.cells import Cell, Note
from drd.model.clock import age
from drd.model.facts import AlertFacts
from drd.model.text import escaped
from drd.model.units import format_age, format_duration, format_share, format_time
from drd.model.verdicts import (
    Assessment,
    PlanState,
    Remark,
    Verdict,
)

STYLE = {
    Verdict.MET: "good",
    Verdict.AT_RISK: "warn",
    Verdict.BREACHED: "bad",
    Verdict.UNKNOWN: "warn",
}
STATE_STYLE = {
    PlanState.OK: "",
    PlanState.AT_RISK: "warn",
    PlanState.NEEDS_DRILL: "warn",
    PlanState.NOT_READY: "bad",
    PlanState.UNKNOWN: "bad",
    PlanState.BREACHED: "bad",
}
"""Colours of states. States in which somebody has to act now are red; they have the exit code 3."""
_ALERT_STYLE = {"critical": "bad", "warning": "warn"}


def row_of(plan: Assessment, at: datetime) -> list[Cell]:
    """Return the row in the order of the table's columns, without the column of copies."""
    rpo, rto = plan.rpo, plan.rto
    lose, back = format_duration(rpo.exposure_s), format_duration(rto.projected_s)
    if rpo.loses_everything:
        lose, back = "everything", back if rto.actual_s is None else "never"
    return [
        Cell(plan.plan),
        Cell(plan.state.value, STATE_STYLE[plan.state] or "good"),
        Cell(lose, "" if rpo.verdict is Verdict.MET else STYLE[rpo.verdict]),
        Cell(objective(rpo.objective_s)),
        Cell(back, "" if rto.verdict is Verdict.MET else STYLE[rto.verdict]),
        Cell(objective(rto.objective_s)),
        Cell(percent(rpo.kept)),
        Cell(_last_drill(plan, at), "bad" if plan.drill.result == "failed" else ""),
    ]


def copies_of(plan: Assessment) -> Cell:
    """Return what would be lost with the worst of the copies; also how many copies never got a
    point, if others did."""
    if not plan.copies:
        return Cell("-")
    behind = max(plan.copies, key=lambda c: (c.verdict.severity, c.exposure_s or 0.0))
    style = "" if behind.verdict is Verdict.MET else STYLE[behind.verdict]
    if behind.data_time is not None:
        return Cell(format_duration(behind.exposure_s), style)
    empty = sum(copy.data_time is None for copy in plan.copies)
    some_have = empty < len(plan.copies)
    return Cell(f"never ({empty} of {len(plan.copies)})" if some_have else "never", style)


def objective(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def _last_drill(plan: Assessment, at: datetime) -> str:
    if plan.drill.last_at is None:
        return "before loss" if plan.drill.before_loss else "never"
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


def note_of(plan: str, remark: Remark, at: datetime) -> Note:
    """Return the sentence of a remark, with its alert."""
    text = f"{remark.text} ({_state(remark.alert, at)})" if remark.alert else remark.text
    return Note(plan, Cell(text, STATE_STYLE[remark.state]), remark.remedy)


def notes_beside(plan: Assessment) -> list[Note]:
    """Return what the row of a plan says besides its first reason."""
    return [Note(plan.plan, Cell(r.text, "warn"), r.remedy) for r in plan.beside]


def alert_note(subject: str, alert: AlertFacts, at: datetime) -> Note:
    text = f"{alert.text} ({_state(alert, at)})"
    return Note(subject, Cell(text, _ALERT_STYLE.get(alert.severity, "")), alert.remedy)


def _state(alert: AlertFacts, at: datetime) -> str:
    """Return an alert's id, and since when it lasts, or who takes care of it."""
    if alert.state != "acknowledged":
        return f"alert {alert.id} for {format_duration(age(alert.since, at))}"
    until = alert.acknowledged_until
    words = f"alert {alert.id}, acknowledged by {escaped(alert.acknowledged_by or '')}"
    return f"{words} until {format_time(until)}" if until else words
