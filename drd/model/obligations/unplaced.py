"""Regimes of which drd does not know whether they apply, because it knows no place: neither of the
organisation (`jurisdictions` of drd.yaml) nor of the people affected. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from drd.model.obligations.clocks import CLOSED, ClockState
from drd.model.text import counted

SETTING = "organisation: {jurisdictions: [DE]}"
"""The setting that a person has to write into drd.yaml; the place is an example."""


def split(states: Iterable[ClockState]) -> tuple[list[ClockState], list[ClockState]]:
    """Return the clocks that a person has to see one by one, and the clocks of unknown places,
    which are counted together. Regimes that do not apply by the facts are in neither list."""
    shown: list[ClockState] = []
    unplaced: list[ClockState] = []
    for state in states:
        if not state.is_quiet:
            (unplaced if state.is_unplaced else shown).append(state)
    return shown, unplaced


def count_words(unplaced: Sequence[ClockState]) -> str:
    """Return `28 reports may be needed (EU 20, GB 5, US 3)`."""
    countries = Counter(s.regime.jurisdiction.partition("-")[0] for s in unplaced)
    parts = ", ".join(f"{place} {count}" for place, count in sorted(countries.items()))
    return f"{counted(len(unplaced), 'report')} may be needed ({parts})"


def next_clock(states: Iterable[ClockState]) -> ClockState | None:
    """Return the clock that ends first, among the clocks that a person has to see one by one and
    that wait for a report or a decision; late ones count, too. None if no such clock runs."""
    shown, _ = split(states)
    return first_due(state for state in shown if state.kind not in CLOSED)


def first_due(unplaced: Iterable[ClockState]) -> ClockState | None:
    """Return the clock of these that would be due first; None if none of them runs."""
    timed = [state for state in unplaced if state.ends_at is not None]
    return min(timed, key=lambda s: (s.ends_at, s.doubt, s.regime.id), default=None)
