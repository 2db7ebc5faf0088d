"""The screen of `drd status PLAN`: everything that is known of one plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from drd.cli.render import fits, fitted, paint, sentence, spread, table, wrap
from drd.errors import DrdError
from drd.flows.status.overview import StatusDocument
from drd.model.cells import Cell, Note
from drd.model.clock import age
from drd.model.facts import HoldFacts, LogFacts
from drd.model.repositories import ABSENT
from drd.model.rows import STATE_STYLE, STYLE, note_of, objective, percent
from drd.model.text import counted, escaped, some, without_output
from drd.model.units import format_duration, format_size, format_span, format_time, from_rfc3339
from drd.model.verdicts import (
    Assessment,
    PlanState,
    RepositoryAssessment,
    ScenarioAssessment,
    Verdict,
    lost_words,
)

_LABEL = 14
"""The column at which the facts begin, behind their labels."""

_MOST_DUES = 6
"""How many runs of a plan are shown: only the next run of each kind is scheduled, so few plans have
more."""

Upcoming = Callable[[], Sequence[Mapping[str, Any]]]
"""Returns the next scheduled runs, as `drd schedule --json` has them, or findings about people.
Raises DrdError."""


def render_plan(
    document: StatusDocument,
    upcoming: Upcoming | None,
    width: int,
    colour: bool,
    people: Upcoming | None = None,
) -> list[str]:
    """Return the lines about one plan: its state and the reason, its objectives and runs, its
    components, repositories and drills, and at last all other findings."""
    plan, at = document.plans[0], document.at
    state = paint(plan.state.value, STATE_STYLE[plan.state] or "good", colour)
    plainly = f"{plan.plan}: {plan.state.value}"
    head = spread(plainly, format_time(at), min(width, 80))
    lines = head.replace(plainly, f"{plan.plan}: {state}", 1).split("\n")
    if plan.why is not None:
        lines += sentence(note_of(plan.plan, plan.why, at), width=width, colour=colour)
        lines += _findings(plan, at, width, colour)
    lines.append("")
    facts = _facts(plan, at)
    if upcoming is not None and plan.rpo.objective_s is not None:
        facts.append(("Next runs", _next_runs(document, upcoming), ""))
    facts += _people(plan.plan, people) if people is not None else []
    more = ", ".join(f"drd {verb} {plan.plan}" for verb in ("points", "runs", "evidence list"))
    for label, text, style in [*facts, ("More", more, "")]:
        lines += _labelled(label, text, style, width, colour)
    for rows in (_components(plan, at), _repositories(plan, at), _drills(plan, at)):
        lines += _table(rows, width, colour)
    return lines if plan.why is not None else [*lines, *_findings(plan, at, width, colour)]


Fact = tuple[str, str, str]
"""A label, a text, and its style."""


def _labelled(label: str, text: str, style: str, width: int, colour: bool) -> list[str]:
    parts = wrap(text, max(20, width - _LABEL))
    heads = [label.ljust(_LABEL), *[" " * _LABEL] * (len(parts) - 1)]
    return [head + paint(part, style, colour) for head, part in zip(heads, parts, strict=True)]


def _facts(plan: Assessment, at: datetime) -> list[Fact]:
    facts: list[Fact] = []
    if plan.description:
        facts.append(("Description", plan.description, ""))
    if plan.owner:
        facts.append(("Owner", plan.owner, ""))
    if plan.file:
        loaded = f", loaded {_when(plan.loaded_at, at)}" if plan.loaded_at else ""
        facts.append(("Plan file", f"{plan.file}{loaded}", ""))
    if plan.rpo.objective_s is None:
        return facts
    facts += [_would_lose(plan), _comes_back(plan), ("Last backup", *_last_backup(plan, at))]
    facts.append(("Points", _points(plan), ""))
    facts += [_any_time(c.component, c.log) for c in plan.components if c.log is not None]
    newest = plan.newest.consistency if plan.newest is not None else ()
    return facts + [("Spread", f"{spread.names}: {spread.words}", "") for spread in newest]


def _any_time(component: str, log: LogFacts) -> Fact:
    """Say to which times a component can be recovered exactly, and what is wrong with its log."""
    spans = ["from {} to {}".format(*format_span(begin, end)) for begin, end in log.spans]
    text = f"{component} can be recovered to any time {some(spans[::-1], between=', and ')}"
    if not spans:
        text = (
            f"a recovery of {component} cannot use the stored log, which continues no restore point"
        )
    if not log.trouble:
        return "Point in time", text, "" if spans else STYLE[Verdict.AT_RISK]
    return (
        "Point in time",
        f"{text}. {escaped(log.trouble)}; {escaped(log.remedy)}",
        STYLE[Verdict.AT_RISK],
    )


def _would_lose(plan: Assessment) -> Fact:
    rpo = plan.rpo
    lose = "everything" if rpo.loses_everything else format_duration(rpo.exposure_s)
    of = f" of {rpo.component}" if rpo.component else ""
    text = f"{lose}{of} (RPO {objective(rpo.objective_s)})"
    if rpo.kept is not None and rpo.window_s is not None:
        text += f"; the RPO was kept for {percent(rpo.kept)} of the last "
        text += format_duration(rpo.window_s).split()[0]
    return "Would lose", text, "" if rpo.verdict is Verdict.MET else STYLE[rpo.verdict]


def _comes_back(plan: Assessment) -> Fact:
    rto = plan.rto
    back = f"in {format_duration(rto.projected_s)}" if rto.projected_s is not None else "unknown"
    if plan.rpo.loses_everything and rto.actual_s is not None:
        back = "never"
    text = f"{back} (RTO {objective(rto.objective_s)})"
    if rto.actual_s is not None:
        text += f"; {rto.drill} took {format_duration(rto.actual_s)}"
    return "Comes back", text, "" if rto.verdict is Verdict.MET else STYLE[rto.verdict]


def _last_backup(plan: Assessment, at: datetime) -> tuple[str, str]:
    """Return the newest complete backup, and the newer one that failed, if any."""
    text, failed = _complete_backup(plan, at), plan.failures
    if failed is None:
        return text, ""
    why = f": {without_output(failed.error)}" if failed.error else ""
    return f"{text}; the backup of {format_time(failed.at)} failed{why}", STYLE[Verdict.AT_RISK]


def _complete_backup(plan: Assessment, at: datetime) -> str:
    backup, newest = plan.backup, plan.newest
    if newest is None:
        return "there is no complete backup"
    if backup is None:
        return f"{_when(newest.data_time, at)}, {format_size(newest.bytes)} in all"
    took = format_duration((backup.finished_at - backup.started_at).total_seconds())
    sizes = f"{format_size(newest.bytes)} in all, {format_size(backup.added_bytes)} added"
    return f"{_when(backup.started_at, at)}, took {took}, {sizes}"


def _next_runs(document: StatusDocument, upcoming: Upcoming) -> str:
    if document.daemon is None or document.daemon.state != "running":
        return "no run starts by itself, because the daemon is not running"
    try:
        dues = upcoming()
    except DrdError as error:
        return f"unknown: {error.line}"
    if not dues:
        return (
            "no run: the plan does not have a schedule, or the daemon has not loaded the plan yet"
        )
    return ", ".join(_due(due, document.at) for due in dues[:_MOST_DUES])


def _people(plan: str, people: Upcoming) -> list[Fact]:
    """Return what the last readiness check found overdue for people: training, reviews."""
    try:
        overdue = people()
    except DrdError:
        return []  # the verdicts above do not depend on it
    texts = [f"{one['name']}: {one['text']}" for one in overdue]
    if texts:
        texts.append(
            f"to see what to do: drd readiness {plan}; to see who is qualified: drd training"
        )
    labels = ["People", *[""] * (len(texts) - 1)]
    warn = STYLE[Verdict.AT_RISK]
    return [
        (label, text, warn if text != texts[-1] else "")
        for label, text in zip(labels, texts, strict=False)
    ]


def _due(due: Mapping[str, Any], at: datetime) -> str:
    kind = f"{due['kind']} {due['repository'] or ''}".rstrip()
    ahead = (from_rfc3339(due["due_at"]) - at).total_seconds()
    return f"{kind} {f'in {format_duration(ahead)}' if ahead > 0 else 'now'}"


def _points(plan: Assessment) -> str:
    text = f"{counted(plan.points, 'complete restore point')}"
    if plan.rpo.loses_everything and plan.points:
        text += ", but drd can read none of these points"
    elif plan.newest is not None:
        text += f", the newest is {plan.newest.id}"
    return text


def _when(moment: datetime, at: datetime) -> str:
    return f"{format_time(moment)} ({_ago(moment, at)})"


def _ago(moment: datetime, at: datetime) -> str:
    since = age(moment, at)
    return "in the future" if since is None else f"{format_duration(since)} ago"


# --- tables -----------------------------------------------------------------------------------

Table = list[list[Cell]]
"""Rows of a table; the first row is the header."""


def _table(rows: Table, width: int, colour: bool) -> list[str]:
    if len(rows) < 2:
        return []
    header = [cell.text for cell in rows[0]]
    if not fits(header, rows[1:], width):
        return ["", *table(header, [[cell.text for cell in row] for row in rows[1:]], width=width)]
    whole = fitted(header, rows[1:], width=width, keep=len(header), colour=colour)
    return ["", *whole.head, *(line for row in whole.rows for line in row)]


def _row(*texts: str, style: str = "", styled: int = -1) -> list[Cell]:
    return [Cell(text, style if i == styled else "") for i, text in enumerate(texts)]


def _components(plan: Assessment, at: datetime) -> Table:
    never = "nothing can be read" if plan.rpo.loses_everything and plan.points else "never stored"
    own = any(c.has_own_rpo for c in plan.components)
    more = ("RPO", "VERDICT") if own else ()
    return [
        _row("COMPONENT", "KIND", "SIZE", "DATA OF", *more),
        *(
            _row(
                c.component,
                c.kind,
                format_size(c.size_bytes) if c.size_bytes is not None else "-",
                _when(c.data_time, at) if c.data_time else never,
                *((objective(c.rpo_s), c.verdict.words) if own else ()),
                style="" if c.verdict is Verdict.MET else STYLE[c.verdict],
                styled=5 if own else 3,
            )
            for c in plan.components
        ),
    ]


def _repositories(plan: Assessment, at: datetime) -> Table:
    return [
        _row("REPOSITORY", "STATE", "COPY OF", "NEWEST DATA"),
        *(
            _row(
                r.repository,
                _state_of(r),
                r.copy_of or "-",
                _newest_in(r, at),
                style={"ok": "", ABSENT: "warn"}.get(r.state, "bad"),
                styled=1,
            )
            for r in plan.repositories
        ),
    ]


def _newest_in(repository: RepositoryAssessment, at: datetime) -> str:
    if repository.data_time is not None:
        return _when(repository.data_time, at)
    return "nothing can be read" if repository.stored else "nothing stored yet"


def _state_of(repository: RepositoryAssessment) -> str:
    if repository.state in ("ok", "damaged", "unreachable"):
        return repository.state
    if repository.state == "shut":
        return "wrong password"
    if repository.state == ABSENT:
        return "not created yet"
    if repository.state == "same":
        return f"the same as {repository.copy_of}"
    return lost_words(repository.state).removeprefix("is ").removeprefix("was ")


def _drills(plan: Assessment, at: datetime) -> Table:
    header = _row("DRILL", "RESULT", "STEPS", "TOOK", "POINT", "EVIDENCE", "ENDED")
    never = "none here" if plan.drill.before_loss else "never"
    return [header, *(_drill(s, never, at) for s in plan.drill.scenarios)]


def _drill(scenario: ScenarioAssessment, never: str, at: datetime) -> list[Cell]:
    last = scenario.last
    name = scenario.scenario + (f" from {scenario.repository}" if scenario.repository else "")
    if last is None:
        return _row(name, never, *["-"] * 5, style=STYLE[scenario.verdict], styled=1)
    steps = last.rehearsed
    return _row(
        name,
        last.result,
        f"{steps[0]} of {steps[1]}" if steps is not None else "-",
        format_duration(last.rta_s) if last.rta_s is not None else "-",
        last.point or "-",
        last.evidence,
        _ago(last.at, at),
        style="" if scenario.verdict is Verdict.MET else STYLE[scenario.verdict],
        styled=1,
    )


# --- findings ---------------------------------------------------------------------------------


def _findings(plan: Assessment, at: datetime, width: int, colour: bool) -> list[str]:
    """Return all remarks but the one that the state is about, and the holds."""
    others = plan.remarks[1:] if plan.why is not None else plan.remarks
    lines: list[str] = []
    for remark in others:
        note = note_of(plan.plan, remark, at)
        lead = "" if remark.state is PlanState.OK else f"{remark.state.value}: "
        text = note.text._replace(text=lead + note.text.text)
        lines += sentence(note._replace(text=text), width=width, colour=colour)
    for hold in plan.holds:
        lines += sentence(_hold(plan.plan, hold), width=width, colour=colour)
    return ["", "Also" if plan.why is not None else "Notes", *lines] if lines else []


def _hold(plan: str, hold: HoldFacts) -> Note:
    until = f" until {format_time(hold.until)}" if hold.until else ""
    by = f" (by {hold.by})" if hold.by else ""
    return Note(plan, Cell(f"{hold.point} is held{until}: {hold.reason}{by}"), f"drd points {plan}")
