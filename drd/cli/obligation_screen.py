"""All clocks of an incident on one screen: what is due and undecided above, what is done below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from drd.cli.obligations import DISCLAIMER
from drd.cli.render import hanging
from drd.model.incidents.incident import Incident
from drd.model.obligations.anchors import Anchor, Source
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.summary import LOUD, order
from drd.model.obligations.unplaced import SETTING, count_words, first_due, split
from drd.model.obligations.words import local_time
from drd.model.text import counted, escaped
from drd.model.units import format_duration

_WIDEST = 110
_COLUMN = 15


def screen(
    incident: Incident,
    states: Sequence[ClockState],
    case: Case,
    now: datetime,
    width: int,
    *,
    every: bool = False,
) -> Iterator[str]:
    """Return the lines of the screen; without `every`, regimes on which nobody has decided are only
    counted if they do not apply by the facts, or if drd knows no place."""
    width = min(width, _WIDEST)
    yield f"incident {incident.number}  {escaped(incident.title)}"
    shown, elsewhere = (list(states), []) if every else split(states)
    for state in sorted(shown, key=order):
        yield from _lines(state, case, now, width)
    if elsewhere:
        yield from _unplaced(elsewhere, incident.number, case, width)
    if not shown and not elsewhere:
        yield "no report is needed by the known facts, and nobody has decided that one is"
    if left := len(states) - len(shown) - len(elsewhere):
        yield (
            f"{counted(left, 'regime')} more: not needed by the known facts, and nobody has "
            "decided. To see them: --all"
        )
    unknown = list(dict.fromkeys(name for state in shown for name in state.missing))
    if unknown:
        yield from hanging("", f"not known: {', '.join(unknown)}. Add it: --fact NAME=VALUE", width)
    yield DISCLAIMER


def _unplaced(states: Sequence[ClockState], number: int, case: Case, width: int) -> Iterator[str]:
    """Say what may apply by law of places that drd does not know, and how to say the place."""
    head = f"{'UNDECIDED':<{_COLUMN}} "
    blank = " " * len(head)
    text = f"{count_words(states)}: drd does not know where you and the people concerned are"
    yield from hanging(head, text, width)
    first = first_due(states)
    if first is not None:
        zone = ZoneInfo(first.regime.zone or case.zone)
        at = first.due_at or first.target_at
        assert at is not None
        due = local_time(at, zone, first.last_day)
        yield from hanging(blank, f"the first would be {first.regime.id}, due {due}", width)
    yield from hanging(blank, f"write it into drd.yaml once:  {SETTING}", width)
    yield from hanging(blank, "codes: EU, GB, US-CA; by name: drd obligations list Germany", width)
    people = f"drd incident obligation {number} --fact residents.DE=unknown"
    yield from hanging(blank, f"or say where the people are:  {people}", width)
    yield from hanging(blank, f"to see all:  drd incident obligation {number} --all", width)


def _lines(state: ClockState, case: Case, now: datetime, width: int) -> Iterator[str]:
    word = LOUD.get(state.kind, str(state.kind))
    head = f"{word:<{_COLUMN}} "
    regime = state.regime
    yield from hanging(head, f"{regime.id}: {escaped(regime.title)}", width)
    blank = " " * _COLUMN + " "
    for text in facts(state, ZoneInfo(regime.zone or case.zone), now):
        yield from hanging(blank, escaped(text), width)


def facts(state: ClockState, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """Return what a person has to know of a clock: its times, to whom the report goes, and how."""
    if state.submitted_at is not None:
        yield f"submitted {local_time(state.submitted_at, zone)}"
        return
    if state.kind is ClockKind.NOT_APPLICABLE:
        yield f"does not apply: {state.reason}"
        return
    if state.hold_until is not None and now < state.hold_until:
        yield f"on hold until {local_time(state.hold_until, zone)}"
    yield from _times(state, zone, now)
    yield f"to {state.regime.recipient}{_way(state)}"
    if state.regime.call:
        yield state.regime.call
    if state.kind is ClockKind.SCOPE_NOT_DECLARED:
        yield "the number of people or residents is missing: this is the worst case"
    if state.kind is ClockKind.UNDECIDED and state.proposed is False:
        yield f"does not apply by the known facts: {'; '.join(state.because)}"


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
        yield f"due later, by {state.relieved_by}"
    if state.prompt_at is not None and state.regime.prompt is not None:
        by = local_time(state.prompt_at, zone)
        yield f"determine by {by}, {_left(state.prompt_at, now)}: {state.regime.prompt.ask}"


def _left(at: datetime, now: datetime) -> str:
    seconds = (at - now).total_seconds()
    if seconds < 0:
        return f"{format_duration(-seconds)} ago"
    return f"in {format_duration(seconds)}"
