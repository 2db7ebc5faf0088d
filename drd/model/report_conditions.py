"""Reports about incidents that are due, late or undecided, as conditions for alerts. Pure.

An alert names only the number of the incident, because the title of a restricted incident is not
for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from drd.model.alerts import Condition
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.unplaced import SETTING, count_words, first_due, split
from drd.model.obligations.words import local_time
from drd.model.text import counted, some
from drd.model.titles import REPORT, UNDECIDED
from drd.model.units import format_duration

_OPEN = frozenset({ClockKind.UNDECIDED, ClockKind.SCOPE_NOT_DECLARED})


def report_conditions(
    number: int, states: Sequence[ClockState], zone: str, now: datetime
) -> Iterator[Condition]:
    """Return a condition for each report that is due soon or overdue, or was late for no known
    reason, for each determination that should have been made, and one for all on which nobody has
    decided.

    A condition that was acknowledged is reported again when its severity rises, for example when
    the report is late."""
    for state in states:
        if state.kind is ClockKind.OVERDUE and state.due_at is not None:
            late = format_duration((now - state.due_at).total_seconds())
            yield _condition(number, state, "critical", f"was due {_at(state, zone)}, {late} ago")
        elif state.kind is ClockKind.DUE_SOON:
            yield _condition(number, state, "warning", f"is due {_at(state, zone)}")
        elif state.lacks_reason:
            yield _without_reason(number, state, zone)
        elif state.kind is ClockKind.NOT_STARTED and _is_past(state.prompt_at, now):
            asks = state.regime.prompt.ask if state.regime.prompt is not None else ""
            yield _condition(
                number, state, "warning", f"does not have a start time yet. Determine: {asks}"
            )
    shown, elsewhere = split(states)
    waiting = [state for state in shown if state.kind in _OPEN]
    if waiting or elsewhere:
        yield _undecided(number, waiting, elsewhere, zone)


def _without_reason(number: int, state: ClockState, zone: str) -> Condition:
    what = f"was submitted late (due {_at(state, zone)}), and nobody has recorded why"
    condition = _condition(number, state, "warning", what)
    return replace(condition, remedy=f"{condition.remedy} --late --reason TEXT")


def _condition(number: int, state: ClockState, severity: str, what: str) -> Condition:
    regime = state.regime
    return Condition(
        REPORT,
        "critical" if severity == "critical" else "warning",
        f"incident {number}, {regime.id}",
        f"the report {regime.id} of incident {number} ({regime.title}) {what}",
        f"drd incident obligation {number} {regime.id}",
    )


def _undecided(
    number: int, waiting: Sequence[ClockState], elsewhere: Sequence[ClockState], zone: str
) -> Condition:
    """Return one condition for all: critical once one of them would be late. One by the law of a
    place where nobody may be makes it no more severe."""
    late = any(state.late for state in waiting)
    told = []
    if waiting:
        names = some([state.regime.id for state in waiting])
        told.append(
            f"nobody has decided whether {counted(len(waiting), 'report')} of incident {number} "
            f"{'is' if len(waiting) == 1 else 'are'} needed: {names}{_first(waiting, zone)}"
        )
    if elsewhere:
        told.append(
            f"{count_words(elsewhere)} for incident {number}{_first(elsewhere, zone)}. drd does "
            f"not know the country of your organisation: write {SETTING} into drd.yaml"
        )
    return Condition(
        UNDECIDED,
        "critical" if late else "warning",
        f"incident {number}",
        ". ".join(told),
        f"drd incident obligation {number}",
    )


def _first(states: Sequence[ClockState], zone: str) -> str:
    first = first_due(states)
    if first is None:
        return ""
    due = "was due" if first.late else "is due"
    return f"; the first, {first.regime.id}, {due} {_at(first, zone)}"


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _at(state: ClockState, zone: str) -> str:
    at = state.ends_at
    where = ZoneInfo(state.regime.zone or zone)
    return local_time(at, where, state.last_day) if at is not None else "without undue delay"
