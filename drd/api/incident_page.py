"""An incident on paper: what is known, and empty sheets on which people can continue by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from drd.api.incident_scope import affected_of, reached
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.config.regimes import regimes_of
from drd.config.zones import local_zone
from drd.errors import DrdError
from drd.kit.document import Block, Heading, Items, Paragraph, Table, html
from drd.kit.incident_sheets import blank_sheets, empty, log_sheets, whom_to_call
from drd.model.contacts import ContactBook
from drd.model.incidents import investigation_words as shown
from drd.model.incidents.affected import Affected, details, resident_words
from drd.model.incidents.doubts import unread
from drd.model.incidents.durations import durations
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.incident_words import line_text, standing
from drd.model.incidents.instants import Instant
from drd.model.incidents.investigation import Investigation, investigation
from drd.model.incidents.timeline import Line, condensed, timeline
from drd.model.inventory import Dependent
from drd.model.message_conditions import update_words
from drd.model.obligations.clocks import CLOSED, ClockKind, ClockState
from drd.model.obligations.paragraphs import DISCLAIMER, facts
from drd.model.obligations.summary import order, word
from drd.model.obligations.unplaced import SETTING, count_words, split
from drd.model.plan import Plan
from drd.model.records import Entry
from drd.model.text import escaped
from drd.model.units import format_duration, format_time

_PAPER = "A4"
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Printed:
    """What is known about an incident at `now`. `clocks_unknown` says why there are no clocks."""

    incident: Incident
    lines: Sequence[Line]
    now: datetime
    reached: Sequence[Dependent] = ()
    affected: Sequence[Affected] = ()
    clocks: Sequence[ClockState] = ()
    zone: ZoneInfo = _UTC
    clocks_unknown: str = ""
    found: Investigation = field(default_factory=Investigation)
    book: ContactBook = field(default_factory=ContactBook)


def collected(
    app: App, incident: Incident, entries: Sequence[Entry], plans: Mapping[str, Plan]
) -> Printed:
    """Collect what is known, by these entries and plans. What is wrong with a regime must not hide
    the rest."""
    now, zone = app.clock.now(), local_zone(app.settings.timezone)
    printed = Printed(
        incident,
        timeline(incident, entries, zone),
        now,
        reached(plans, incident),
        affected_of(incident, plans),
        zone=zone,
        found=investigation(entries),
        book=app.settings.contacts,
    )
    try:
        table = duty_table(app, incident.number, regimes_of(app.settings), entries)
        if told := unread(table.incident):
            return replace(printed, clocks_unknown=told)
        return replace(printed, clocks=table.states(now))
    except DrdError as error:
        return replace(printed, clocks_unknown=error.line)


def page(printed: Printed) -> bytes:
    """Return one HTML page for paper, which needs no other files."""
    parts = (
        _known(printed),
        _scope(printed),
        _investigation(printed),
        _reports(printed),
        _updates(printed),
        _log(printed),
        log_sheets(),
        _calls(printed),
    )
    return html([block for part in parts for block in part], paper=_PAPER)


def blank_page(book: ContactBook, zone: ZoneInfo) -> bytes:
    """Return the empty sheets of an incident for which there is no drd at hand."""
    return html(blank_sheets(book, zone), paper=_PAPER)


def _known(printed: Printed) -> Iterator[Block]:
    incident, now = printed.incident, printed.now
    yield Heading(1, f"Incident {incident.number}: {escaped(incident.title) or '(no title)'}")
    yield Paragraph(
        f"This page shows what drd knew at {format_time(now, zone=printed.zone)}. If you write "
        f"something on the paper, record it in drd later: `drd incident log {incident.number} "
        '"TEXT" --at TIME`.'
    )
    yield Paragraph(f"{standing(incident, now, printed.zone)}.")
    if incident.merged_into is not None:
        yield Paragraph(f"This incident continues in incident {incident.merged_into}.")
    roles = [f"{escaped(role)}: {escaped(name)}" for role, name in incident.roles.items()]
    yield from [Items(tuple(roles))] if roles else []
    yield from [Items(tuple(map(escaped, incident.links)))] if incident.links else []
    yield Heading(2, "To do")
    yield _tasks(incident.open_tasks, printed.zone)
    yield Heading(2, "Moments")
    yield _moments(incident, printed.zone)
    took = [f"{w} {format_duration(s)}" for w, s in durations(incident).items() if s is not None]
    if took:
        yield Paragraph(f"How long it took: {', '.join(took)}.")


def _tasks(tasks: Sequence[Task], zone: tzinfo, blank: int = 4) -> Table:
    rows = [
        (
            format_time(task.due, zone=zone) if task.due is not None else "",
            escaped(task.to),
            "",
            f"task {task.number}: {escaped(task.text)}",
        )
        for task in tasks
    ]
    return Table(("due", "who", "done at", "what"), (*rows, *empty(4, blank)), sheet=True)


def _moments(incident: Incident, zone: tzinfo) -> Table:
    stated = incident.instants
    rows = tuple(
        (i.value, format_time(stated[i], zone=zone) if i in stated else "") for i in Instant
    )
    return Table(("moment", "time"), rows, form=True)


def _scope(printed: Printed) -> Iterator[Block]:
    yield Heading(2, "Scope")
    plans = printed.incident.plans
    yield Items(tuple(map(escaped, plans))) if plans else Paragraph("No plan is in the scope.")
    if printed.reached:
        yield Paragraph("Not in the scope, but perhaps affected:")
        yield Items(tuple(f"{escaped(one.plan)}: {escaped(one.why)}" for one in printed.reached))
    if printed.affected:
        rows = tuple(map(_row, printed.affected))
        yield Table(("plan", "residents", "people", "data"), rows, sheet=True)
    else:
        yield Paragraph("The plans do not say whose data the incident affects.")


def _row(one: Affected) -> tuple[str, ...]:
    residents = ", ".join(map(resident_words, one.residents)) or "unknown"
    why = f". {escaped(one.why)}" if one.why else ""
    data = f"{escaped(one.what)}{details(one)}{why}"
    return escaped(one.plan), residents, one.words(), data


def _investigation(printed: Printed) -> Iterator[Block]:
    investigated, now, zone = printed.found, printed.now, printed.zone
    yield Heading(2, "Investigation")
    cause = shown.cause_text(investigated.cause) if investigated.cause is not None else "not known"
    yield Paragraph(f"Root cause: {cause}.")
    tables = (
        (shown.HYPOTHESES, [shown.hypothesis_row(h) for h in investigated.hypotheses]),
        (
            shown.INDICATORS,
            [shown.indicator_row(i, now, zone) for i in investigated.indicators],
        ),
        (shown.EVIDENCE, [shown.evidence_row(e, zone) for e in investigated.evidence]),
    )
    for header, rows in tables:
        if rows:
            yield Table(header, tuple(rows), sheet=True)


def _reports(printed: Printed) -> Iterator[Block]:
    yield Heading(2, "Reports required by law or contract")
    if printed.clocks_unknown:
        yield Paragraph(f"Unknown: {escaped(printed.clocks_unknown)}.")
        return
    shown, elsewhere = split(s for s in printed.clocks if s.kind is not ClockKind.NOT_APPLICABLE)
    rows = []
    for state in (*sorted(shown, key=order), *sorted(elsewhere, key=order)):
        zone = ZoneInfo(state.regime.zone) if state.regime.zone else printed.zone
        what = f"{state.regime.id}: {state.regime.title}"
        sent = "" if state.kind not in CLOSED else "-"
        told = "; ".join(facts(state, zone, printed.now))
        rows.append((word(state), sent, escaped(f"{what}. {told}")))
    if rows:
        yield Table(("state", "submitted at", "duty, when, to whom"), tuple(rows), sheet=True)
    if elsewhere:
        yield Paragraph(
            f"{count_words(elsewhere)}: drd does not know where you and the people concerned are. "
            f"To get a shorter list, write the places in drd.yaml: `{SETTING}`."
        )
    if not rows:
        yield Paragraph(
            "According to the known facts, no report is needed. No person has decided that a "
            "report is needed."
        )
    yield Paragraph(DISCLAIMER)


def _updates(printed: Printed) -> Iterator[Block]:
    """Return who expects an update by when, and room to write down who was told."""
    yield Heading(2, "Updates: who was told what")
    rows = [
        (update_words(clock, printed.now, printed.zone), "", f"{escaped(clock.audience)}: ")
        for clock in printed.incident.updates
    ]
    table = (*rows, *empty(3, 4))
    yield Table(("due", "told at, by whom", "to whom, what"), table, sheet=True)


def _log(printed: Printed) -> Iterator[Block]:
    yield Heading(2, f"Timeline, times in {printed.zone}")
    rows = [
        (
            format_time(line.at, zone=printed.zone)[:16],
            escaped(line.by),
            f"{'* ' * line.starred}{line_text(line, printed.zone)} (entry {line.entry})",
        )
        for line in condensed(printed.lines)
    ]
    yield Table(("time", "who", "what"), tuple(rows), sheet=True)


def _calls(printed: Printed) -> Iterator[Block]:
    plans = printed.incident.plans
    return whom_to_call(printed.book, printed.now, plans or None, printed.zone)
