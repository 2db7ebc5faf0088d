"""Reports about incidents that are due, late or undecided, as conditions for alerts. Pure.

An alert names the incident by its number alone: the title of a restricted one is not for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from drd.model.alerts import Condition
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.words import local_time
from drd.model.text import counted, some
from drd.model.titles import REPORT
from drd.model.units import format_duration

UNDECIDED = "report-undecided"

_OPEN = frozenset({ClockKind.UNDECIDED, ClockKind.SCOPE_NOT_DECLARED})


def report_conditions(
    number: int, states: Sequence[ClockState], zone: str, now: datetime
) -> Iterator[Condition]:
    """Return a condition for each report that is due soon or overdue, for each determination that
    should have been made, and one for all on which nobody has decided.

    One that was acknowledged is told again when its severity rises, as it does when it is late."""
    for state in states:
        if state.kind is ClockKind.OVERDUE and state.due_at is not None:
            late = format_duration((now - state.due_at).total_seconds())
            yield _condition(number, state, "critical", f"was due {_at(state, zone)}, {late} ago")
        elif state.kind is ClockKind.DUE_SOON:
            yield _condition(number, state, "warning", f"is due {_at(state, zone)}")
        elif state.kind is ClockKind.NOT_STARTED and _is_past(state.prompt_at, now):
            asks = state.regime.prompt.ask if state.regime.prompt is not None else ""
            yield _condition(number, state, "warning", f"has no start yet. Determine: {asks}")
    waiting = [state for state in states if state.kind in _OPEN and not state.is_quiet]
    if waiting:
        yield _undecided(number, waiting, zone)


def _condition(number: int, state: ClockState, severity: str, what: str) -> Condition:
    regime = state.regime
    return Condition(
        REPORT,
        "critical" if severity == "critical" else "warning",
        f"incident {number}, {regime.id}",
        f"the report {regime.id} of incident {number} ({regime.title}) {what}",
        f"drd incident obligation {number} {regime.id}",
    )


def _undecided(number: int, waiting: Sequence[ClockState], zone: str) -> Condition:
    """Return one condition for all: critical once one of them would be late."""
    late = [state for state in waiting if state.late]
    timed = [state for state in waiting if _time(state) is not None]
    first = min(timed, key=lambda state: (_time(state), state.regime.id), default=None)
    due = f"; the first, {first.regime.id}, is due {_at(first, zone)}" if first is not None else ""
    names = some([state.regime.id for state in waiting])
    return Condition(
        UNDECIDED,
        "critical" if late else "warning",
        f"incident {number}",
        f"nobody has decided whether {counted(len(waiting), 'report')} of incident {number} "
        f"{'is' if len(waiting) == 1 else 'are'} needed: {names}{due}",
        f"drd incident obligation {number}",
    )


def _time(state: ClockState) -> datetime | None:
    return state.due_at or state.target_at


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _at(state: ClockState, zone: str) -> str:
    at = _time(state)
    where = ZoneInfo(state.regime.zone or zone)
    return local_time(at, where, state.last_day) if at is not None else "without undue delay"
