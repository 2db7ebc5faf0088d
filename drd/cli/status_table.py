"""The screen of `drd status`: a row for each plan, and below it the reason for its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from drd.cli.render import fitted, measure, sentence, spread, wrap
from drd.flows.status.overview import StatusDocument, known_when
from drd.model.cells import Cell, Note
from drd.model.clock import age
from drd.model.drd_facts import RECORDS_CHANGED, IncidentFacts
from drd.model.facts import AlertFacts
from drd.model.rows import (
    alert_note,
    copies_of,
    drilled,
    note_of,
    notes_beside,
    objective,
    percent,
    row_of,
)
from drd.model.status_line import Brief, microseconds
from drd.model.status_notes import Telling, Told
from drd.model.text import counted, noun, shortened, some
from drd.model.titles import REPORT, UNDECIDED, UPDATE
from drd.model.units import format_duration, format_time
from drd.model.verdicts import Assessment, PlanState

BEGIN = (
    "no plan yet: drd does not know what to protect\n"
    "\n"
    "Begin with   drd plan new       writes a plan for what it finds on this host\n"
    "then         drd plan check     says what is wrong with it\n"
    "             drd doctor         tries everything that a backup will need\n"
    "             drd backup PLAN    makes the first restore point\n"
    "             drd drill PLAN     proves that it can be restored"
)

Shown = Assessment | Brief | Told
"""A plan."""

_HEADER = (
    "PLAN",
    "STATE",
    "WOULD\nLOSE NOW",
    "RPO",
    "COMES\nBACK IN",
    "RTO",
    "RPO\nKEPT",
    "LAST DRILL",
)
_COPY_AT = 4
"""The column for what would be lost if only the copy that is furthest behind were left."""

_OK = Cell(PlanState.OK.value, "good")
_OURS = "drd"
"""What the column of plans contains for lines about drd itself."""

_LONGEST_TITLE = 50
_INCIDENTS = 5
"""The number of incidents and reports that have a line each."""
_SEVERAL = 2
_REPORTED = "reported"
_ON_THE_WAY = timedelta(minutes=5)
"""Entries of incidents reach a repository within a minute: later, something is wrong."""
MANY = 40
"""The number of plans on one screen."""


def render(
    document: StatusDocument, width: int, colour: bool, *, at_most: int | None = None
) -> str:
    """Return the screen: counts and time; then the plans, the worst first, with a row for each and
    the reason for its state below the row; then lines about drd itself. It contains at most
    `at_most` plans, and says how many are left out."""
    plans = everyone(document)
    ours = about_drd(document, width, colour)
    if not plans:
        return "\n".join([BEGIN, *ours])
    counts = _counts(plans)
    if document.trouble is not None:
        counts += f"; drd: {PlanState.NOT_READY.value}"
    plans, left_out = plans[:at_most], plans[len(plans[:at_most]) :]
    lines, widest = _table(document, plans, width, colour)
    if left_out:
        more = _counts(left_out, more=" more")
        more = f"and {more}. All plans: drd status --all; one plan: drd status PLAN"
        lines += ["", *wrap(more, width)]
    head = spread(counts, format_time(document.at), min(width, widest))
    return "\n".join([head, "", *lines, *ours])


def everyone(document: StatusDocument) -> list[Shown]:
    """Return all plans, the worst first, then by name."""
    by_state: dict[PlanState, list[Shown]] = {state: [] for state in reversed(PlanState)}
    for plan in document.plans:
        by_state[plan.state].append(plan)
    for brief in document.briefs:
        by_state[brief.state].append(brief)
    for plans in by_state.values():
        plans.sort(key=_name)
    return [plan for plans in by_state.values() for plan in plans]


def _name(plan: Shown) -> str:
    return plan.plan


def gravest(document: StatusDocument) -> str:
    """The summary at the end of a long screen whose beginning has scrolled away."""
    plans, state = everyone(document), document.state_of_plans
    names = [p.plan for p in plans if p.state is state]
    said = f"{state.value}: {some(names, 5)}"
    return f"{_counts(plans)}\n{said}; drd status {names[0]}"


def _counts(plans: Sequence[Shown], more: str = "") -> str:
    states = [p.state for p in plans]
    counts = ((state, states.count(state)) for state in reversed(PlanState))
    counted = (f"{count} {state.value}" for state, count in counts if count)
    words = f"{len(plans):,}{more} {noun(len(plans), 'plan')}"
    return f"{words}: {', '.join(counted)}"


def _table(
    document: StatusDocument, plans: Sequence[Shown], width: int, colour: bool
) -> tuple[list[str], int]:
    """Return the lines of the table, with the reasons in between, and the width of its rows."""
    now = microseconds(document.at)
    tellings = {p.plan: p.telling(now) for p in plans if isinstance(p, Told)}
    rows = _rows(plans, document.at, tellings)
    header: Sequence[str] = _HEADER
    if any(p.copied is not None if isinstance(p, Brief) else p.copies for p in plans):
        header = (*header[:_COPY_AT], "COPY", *header[_COPY_AT:])
        for row, plan in zip(rows, plans, strict=True):
            row.insert(_COPY_AT, _copies(plan, now, tellings))
    table = fitted(header, rows, width=width, keep=2, colour=colour)
    plainly = fitted(header, rows, width=width, keep=2, colour=False) if colour else table
    lines = [*table.head]
    for plan, row_lines in zip(plans, table.rows, strict=True):
        lines += row_lines
        if isinstance(plan, Brief):
            continue
        first = _why(plan, document.at, tellings)
        # A plan with more than its first reason has always been assessed.
        others = notes_beside(plan) if isinstance(plan, Assessment) else []
        for note in (*([first] if first is not None else []), *others):
            lines += sentence(note, width=width, colour=colour)
    if table.left_out:
        names = ", ".join(table.left_out)
        lines += [
            "",
            *wrap(
                f"not shown here, because the terminal is too narrow: {names}. To see all of a "
                "plan: drd status PLAN",
                width,
            ),
        ]
    rows_alone = [*plainly.head, *(line for row in plainly.rows for line in row)]
    return lines, max(map(measure, rows_alone))


def _rows(
    plans: Sequence[Shown], at: datetime, tellings: Mapping[str, Telling]
) -> list[list[Cell]]:
    now = microseconds(at)
    texts: dict[float | None, Cell] = {}  # of objectives, of which there are few
    return [
        _brief_row(plan, now, texts)
        if isinstance(plan, Brief)
        else tellings[plan.plan].row
        if isinstance(plan, Told)
        else row_of(plan, at)
        for plan in plans
    ]


def _brief_row(plan: Brief, now: int, texts: dict[float | None, Cell]) -> list[Cell]:
    """Return the same row as `row_of` of the plan's assessment."""
    for seconds in (plan.rpo_s, plan.rto_s, plan.projected_s):
        if seconds not in texts:
            texts[seconds] = Cell(objective(seconds))
    return [
        Cell(plan.plan),
        _OK,
        Cell(format_duration(max(0, now - plan.data) / 1e6)),
        texts[plan.rpo_s],
        texts[plan.projected_s],
        texts[plan.rto_s],
        Cell(percent(plan.attainment(now))),
        Cell(drilled("passed", max(0, now - plan.drilled) / 1e6, plan.rehearsed)),
    ]


def _why(plan: Assessment | Told, at: datetime, tellings: Mapping[str, Telling]) -> Note | None:
    """Return the one reason for the state of a plan; None if it is ok."""
    if isinstance(plan, Told):
        return tellings[plan.plan].why
    return note_of(plan.plan, plan.why, at) if plan.why is not None else None


def _copies(plan: Shown, now: int, tellings: Mapping[str, Telling]) -> Cell:
    """Return what the worst of the copies would lose."""
    if isinstance(plan, Told):
        return tellings[plan.plan].copies
    if not isinstance(plan, Brief):
        return copies_of(plan)
    if plan.copied is None:
        return Cell("-")
    return Cell(format_duration(max(0, now - plan.copied) / 1e6))


# --- drd itself -----------------------------------------------------------------------------


def about_drd(document: StatusDocument, width: int, colour: bool) -> list[str]:
    """Return the lines about drd itself, if there is something to say."""
    lines = [
        line for note in _own_notes(document) for line in sentence(note, width=width, colour=colour)
    ]
    return ["", _OURS, *lines] if lines else []


def _own_notes(document: StatusDocument) -> list[Note]:
    """Return the lines to print. Overdue reports come first."""
    overdue = [a for a in document.alerts if a.kind == REPORT and a.severity == "critical"]
    others = [alert for alert in document.alerts if alert not in overdue]
    notes = [alert_note(_OURS, alert, document.at) for alert in overdue]
    notes += _incidents(document)
    if document.trouble is not None:
        notes.append(Note(_OURS, Cell(document.trouble, "bad"), "df -h"))
    if document.copied is not None:
        notes.append(Note(_OURS, Cell(document.copied, "bad"), "drd adopt"))
    notes += _records(document) + _alerts(others, document.at)
    notes = [n._replace(command="") if n.command == "drd status" else n for n in notes]
    notes += _configuration(document)
    return notes + _packages(document) + _daemon(document) + _written(document)


def _alerts(alerts: Sequence[AlertFacts], now: datetime) -> list[Note]:
    """Return a line for each alert, one for the undecided reports of several incidents, and one for
    several updates that are due."""
    alerts = _with_worst_update(alerts)
    undecided = [alert for alert in alerts if alert.kind == UNDECIDED]
    if len(undecided) < _SEVERAL:
        return [alert_note(_OURS, alert, now) for alert in alerts]
    text = f"{len(undecided)} incidents have reports on which nobody has decided"
    style = "bad" if any(alert.severity == "critical" for alert in undecided) else "warn"
    rest = [alert_note(_OURS, alert, now) for alert in alerts if alert.kind != UNDECIDED]
    return [*rest, Note(_OURS, Cell(text, style), "drd incident list")]


def _with_worst_update(alerts: Sequence[AlertFacts]) -> list[AlertFacts]:
    """Return the alerts. Of several alerts about updates, return only the worst, with the number of
    the others."""
    updates = sorted(
        (alert for alert in alerts if alert.kind == UPDATE),
        key=lambda alert: (alert.severity != "critical", alert.since),
    )
    if len(updates) < _SEVERAL:
        return list(alerts)
    more = counted(len(updates) - 1, "more update is due", "more updates are due")
    worst = updates[0]._replace(text=f"{updates[0].text}; {more}")
    return [worst, *(alert for alert in alerts if alert.kind != UPDATE)]


def _incidents(document: StatusDocument) -> list[Note]:
    """Return a line for each of the first incidents, and one line for all others. Incidents that no
    repository has come first, then the most overdue ones. Suspicions come last."""
    now = document.at
    ordered = sorted(
        document.incidents,
        key=lambda one: (
            one.state == _REPORTED,
            not _is_only_here(one, now),
            one.next_at is None,
            one.next_at or now,
            one.number,
        ),
    )
    first, others = ordered[:_INCIDENTS], ordered[_INCIDENTS:]
    notes = [_incident(incident, document.at) for incident in first]
    if others:
        text = counted(len(others), "more incident or report", "more incidents and reports")
        notes.append(Note(_OURS, Cell(text, "warn"), "drd incident list"))
    return notes


def _incident(incident: IncidentFacts, now: datetime) -> Note:
    """Return the line about an open incident, or a suspicion that nobody has examined."""
    title = "restricted" if incident.restricted else shortened(incident.title, _LONGEST_TITLE)
    parts = [incident.state, *([incident.severity] if incident.severity else [])]
    style = "warn"
    if incident.next_at is not None:
        left = (incident.next_at - now).total_seconds()
        when = f"overdue by {format_duration(-left)}" if left < 0 else f"in {format_duration(left)}"
        parts.append(f"next task or update {when}")
        style = "bad" if left < 0 else style
    text = f"incident {incident.number}: {title} ({', '.join(parts)})"
    here = incident.only_here_since
    if here is not None and _is_only_here(incident, now):
        since = format_duration((now - here).total_seconds())
        text += f"; its entries of the last {since} are not yet in a repository"
        return Note(_OURS, Cell(text, "bad"), "drd records anchor --incidents")
    return Note(_OURS, Cell(text, style), f"drd incident show {incident.number}")


def _is_only_here(incident: IncidentFacts, now: datetime) -> bool:
    """Return whether no repository has its newest entries, for longer than they need."""
    here = incident.only_here_since
    return here is not None and now - here > _ON_THE_WAY


def _records(document: StatusDocument) -> list[Note]:
    """Return a line about changed records, unless an alert names them."""
    if not document.records_damage or any(a.kind == RECORDS_CHANGED for a in document.alerts):
        return []
    return [Note(_OURS, Cell(document.records_damage, "bad"), "drd records verify")]


def _configuration(document: StatusDocument) -> list[Note]:
    trouble = document.configuration
    if trouble is None:
        return []
    style = "bad" if trouble.broken else "warn"
    return [Note(_OURS, Cell(trouble.text, style), trouble.command)]


def _packages(document: StatusDocument) -> list[Note]:
    """Return a line for each missing package that no alert names."""
    known = {alert.subject for alert in document.alerts if alert.kind == "extension"}
    return [
        Note(
            _OURS,
            Cell(f"the package {name} of drd.yaml is not installed", "warn"),
            "drd doctor",
        )
        for name in document.missing_packages
        if name not in known
    ]


def _written(document: StatusDocument) -> list[Note]:
    text = known_when(document)
    return [Note(_OURS, Cell(text, "warn"), "sudo drd status")] if text else []


def _daemon(document: StatusDocument) -> list[Note]:
    """Return a line about a daemon that does not work."""
    daemon, wrong = document.daemon, document.configuration
    if daemon is None or (daemon.state == "running" and not daemon.mute):
        return []
    if daemon.mute:
        since = f"since {format_time(daemon.at, seconds=True)}" if daemon.at else "yet"
        text = f"the daemon runs, but could not record anything {since}"
        return [Note(_OURS, Cell(text, "bad"), "journalctl -u drd -n 20")]
    if wrong is not None and wrong.broken:
        return []  # it says that the service cannot start
    if daemon.at is None:
        text, command = "the service is installed but has never run", "systemctl enable --now drd"
    else:
        ago = f"{format_duration(age(daemon.at, document.at))} ago"
        if daemon.state == "stopped":
            text, command = f"the daemon was stopped {ago}", "systemctl start drd"
        else:
            text, command = f"the daemon's last sign of life was {ago}", "systemctl status drd"
    return [Note(_OURS, Cell(f"{text}: scheduled runs do not start", "bad"), command)]
