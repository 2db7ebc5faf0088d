"""Describe all clocks of an incident in words: due and undecided ones first, finished ones last.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from drd.model.incidents.incident import Incident
from drd.model.obligations.anchors import Anchor, Source
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.summary import order, word
from drd.model.obligations.unplaced import SETTING, count_words, first_due, split
from drd.model.obligations.words import local_time
from drd.model.text import counted, escaped
from drd.model.units import format_duration

DISCLAIMER = "This is not legal advice: no lawyer has checked these data. docs/obligations.md"
COLUMN = 15
"""How far texts are indented below the word that says how a clock is."""
_BLANK = " " * (COLUMN + 1)

Paragraph = tuple[str, str]
"""The beginning of the first line, and the text; further lines of the text are indented below
it."""


def paragraphs(
    incident: Incident,
    states: Sequence[ClockState],
    case: Case,
    now: datetime,
    *,
    every: bool = False,
) -> Iterator[Paragraph]:
    """Return what a screen shows. Without `every`, regimes on which nobody has decided are only
    counted, if by the facts they do not apply, or if drd knows no place."""
    yield "", f"incident {incident.number}  {escaped(incident.title)}"
    shown, elsewhere = (list(states), []) if every else split(states)
    for state in sorted(shown, key=order):
        yield from _of_clock(state, case, now)
    if elsewhere:
        yield from _unplaced(elsewhere, incident.number, case)
    if not shown and not elsewhere:
        yield (
            "",
            (
                "according to the known facts, no report is needed, and nobody has decided that "
                "a report is needed"
            ),
        )
    if left := len(states) - len(shown) - len(elsewhere):
        text = (
            f"{counted(left, 'regime')} more: not needed according to the known facts, and nobody "
            "has decided. To see them: --all"
        )
        yield "", text
    unknown = list(dict.fromkeys(name for state in shown for name in state.missing))
    if unknown:
        yield "", f"unknown facts: {', '.join(unknown)}. To add a fact: --fact NAME=VALUE"
    yield "", DISCLAIMER


def _unplaced(states: Sequence[ClockState], number: int, case: Case) -> Iterator[Paragraph]:
    """Say what may apply by law of places that drd does not know, and how to say the place."""
    head = f"{'UNDECIDED':<{COLUMN}} "
    text = f"{count_words(states)}: drd does not know where you and the people concerned are"
    yield head, text
    first = first_due(states)
    if first is not None:
        zone = ZoneInfo(first.regime.zone or case.zone)
        at = first.due_at or first.target_at
        assert at is not None
        due = local_time(at, zone, first.last_day)
        yield _BLANK, f"the first report would be {first.regime.id}, due {due}"
    yield _BLANK, f"write your places into drd.yaml once:  {SETTING}"
    yield _BLANK, "codes: EU, GB, US-CA; by name: drd obligations list Germany"
    people = f"drd incident obligation {number} --fact residents.DE=unknown"
    yield _BLANK, f"or give the places of the people:  {people}"
    yield _BLANK, f"to see all:  drd incident obligation {number} --all"


def _of_clock(state: ClockState, case: Case, now: datetime) -> Iterator[Paragraph]:
    regime = state.regime
    yield f"{word(state):<{COLUMN}} ", f"{regime.id}: {escaped(regime.title)}"
    for text in facts(state, ZoneInfo(regime.zone or case.zone), now):
        yield _BLANK, escaped(text)


def facts(state: ClockState, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """Yield what a person has to know about a clock: its times, to whom the report goes, and
    how."""
    if state.submitted_at is not None:
        yield f"submitted {local_time(state.submitted_at, zone)}"
    if state.kind is ClockKind.NOT_APPLICABLE:
        yield f"does not apply: {state.reason}"
        return
    if state.submitted_at is not None:
        yield from _lateness(state, zone)
        return
    if state.hold_until is not None and now < state.hold_until:
        yield f"on hold until {local_time(state.hold_until, zone)}"
    yield from _times(state, zone, now)
    yield f"to {state.regime.recipient}{_way(state)}"
    if state.regime.call:
        yield state.regime.call
    if state.kind is ClockKind.SCOPE_NOT_DECLARED:
        yield "drd assumes the worst case, because the number of people or residents is missing"
    if state.outdated:
        yield (
            f"somebody decided that this regime does not apply: {state.reason}. The facts "
            f"changed since then: {'; '.join(state.because)}. Decide again"
        )
    if state.kind is ClockKind.UNDECIDED and state.proposed is False:
        yield f"does not apply according to the known facts: {'; '.join(state.because)}"


def _lateness(state: ClockState, zone: ZoneInfo) -> Iterator[str]:
    if state.kind is not ClockKind.FILED_LATE or state.due_at is None:
        return
    was_due = f"late: the report was due {local_time(state.due_at, zone, state.last_day)}"
    if state.late_reason:
        yield f"{was_due}: {state.late_reason}"
    else:
        yield (
            f"{was_due}, and nobody has recorded why. To record the reason: --late --reason TEXT"
        )


def _way(state: ClockState) -> str:
    how = "; ".join(filter(None, (state.regime.how, state.regime.form)))
    return f" ({how})" if how else ""


def _awaited(anchor: Anchor) -> str:
    of = "the time of" if anchor.source is Source.INSTANT else "the report of"
    return f"{of} {anchor.name}"


def _times(state: ClockState, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    if state.no_clock:
        yield f"no clock: {state.no_clock}"
    elif state.started_at is None:
        yield f"not started: {' or '.join(map(_awaited, state.awaits))} is missing"
    if state.due_at is not None:
        due = local_time(state.due_at, zone, state.last_day)
        yield f"due {due}, {_left(state.due_at, now)}"
    elif state.started_at is not None:
        yield "due without undue delay"
    if state.target_at is not None and state.target_at != state.due_at:
        yield f"target {local_time(state.target_at, zone)}, {_left(state.target_at, now)}"
    if state.relieved_by:
        yield f"due later, as {state.relieved_by} allows"
    if state.prompt_at is not None and state.regime.prompt is not None:
        by = local_time(state.prompt_at, zone)
        yield f"determine by {by}, {_left(state.prompt_at, now)}: {state.regime.prompt.ask}"


def _left(at: datetime, now: datetime) -> str:
    seconds = (at - now).total_seconds()
    if seconds < 0:
        return f"{format_duration(-seconds)} ago"
    return f"in {format_duration(seconds)}"
