"""The clocks of an incident in one line."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from drd.model.obligations.clocks import CLOSED, ClockKind, ClockState
from drd.model.obligations.unplaced import next_clock, split
from drd.model.obligations.words import local_time

LOUD = {
    ClockKind.OVERDUE: "OVERDUE",
    ClockKind.DUE_SOON: "DUE SOON",
    ClockKind.UNDECIDED: "UNDECIDED",
    ClockKind.SCOPE_NOT_DECLARED: "UNDECIDED",
}
"""Words in capitals: a person has to do something."""


def word(state: ClockState) -> str:
    """Return the word for the state of a clock, in capitals if a person has to do something."""
    return "REASON MISSING" if state.lacks_reason else LOUD.get(state.kind, str(state.kind))


def summary(states: Sequence[ClockState], zone: str, number: int) -> str:
    """Return one line for the screen of the incident: what is late, undecided and next."""
    shown, elsewhere = split(states)
    counts = {
        "late": sum(s.late for s in shown if s.kind not in CLOSED),
        "due soon": sum(s.kind is ClockKind.DUE_SOON for s in shown),
        "late without a reason": sum(s.lacks_reason for s in shown),
        "undecided": sum(s.is_undecided for s in shown),
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    first = next_clock(states)
    if first is not None:
        told += f"{'; ' if told else ''}next {first.regime.id}, {_due_words(first, zone)}"
    if elsewhere:
        more = f"{len(elsewhere)} more" if told else str(len(elsewhere))
        told += f"{'; ' if told else ''}{more} may be needed (drd.yaml names no jurisdictions)"
    return f"{told}: drd incident obligation {number}" if told else ""


def _due_words(state: ClockState, zone: str) -> str:
    at = state.ends_at
    assert at is not None
    local = local_time(at, ZoneInfo(state.regime.zone or zone), state.last_day)
    if state.due_at is None:
        return f"due without undue delay (target: {local})"
    return f"{'was due' if state.late else 'due'} {local}"


def order(state: ClockState) -> tuple[bool, bool, float, int, str]:
    """Return the place of a clock: open ones first, the next one above; of several that end at the
    same time, those that certainly apply, then those that do by the facts, then the others."""
    at = state.ends_at or state.prompt_at
    open_ = state.kind not in CLOSED or state.lacks_reason
    seconds = at.timestamp() if at is not None else 0
    return not open_, at is None, seconds, state.doubt, state.regime.id
