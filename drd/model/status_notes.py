"""The texts of `drd status` for a plan with reasons, alerts or copies to name, without judging it
again.

Like a `Brief` they are valid until a known moment (`validity`). Until then only the figures in them
change, for which the texts have places.
"""

from __future__ import annotations

from drd.model.cells import Cell, Note
from drd.model.units import AGE, SHARE, format_age, format_duration, format_share
from drd.model.verdicts import PlanState, Verdict
from drd.named import NamedTuple

PLACE = "⟦"
"""Marks the place of a figure in a text. The character is printable, so that functions that clean
texts do not remove it. Texts that contain it themselves cannot be stored in this form.
"""
Place = tuple[int, tuple[float, float, float, float]]
"""How to show such a figure (`units.DURATION` …), and how it changes (`validity.Course`). The
course of a duration is in microseconds, which are exact; the duration grows or shrinks by a second
each second.
"""

_COLUMNS = 8
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_STATES = {state.value: state for state in PlanState}


class Telling(NamedTuple):
    """The texts at one moment. `row` has no column of copies. `why` is the sentence below the row,
    None for a plan that is ok; `first` is the text of this sentence without the alert.
    """

    row: list[Cell]
    copies: Cell
    why: Note | None
    first: str


class Told(NamedTuple):
    """The texts of a plan from `since` and before `until`; these times, and the file, have the same
    form as in a `Brief`. `texts` are the texts of the row, of the copies, of the sentence below the
    row, and of its reason alone, one in each line, with a `PLACE` for each of `places`. `styles`
    are the styles of the row, the copies and the sentence. `critical` are messages of critical
    alerts. `packages` are the packages of the plan, as in its facts.
    """

    plan: str
    since: int
    until: int
    file: str
    file_mtime_ns: int
    file_size: int
    word: str
    state_word: str
    texts: str
    places: list[Place]
    styles: list[str]
    command: str
    has_copies: bool
    has_reason: bool
    critical: list[str]
    packages: dict[str, str]

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS[self.word]

    @property
    def state(self) -> PlanState:
        return _STATES[self.state_word]

    @property
    def copies(self) -> bool:
        """Whether the plan has copies."""
        return self.has_copies

    def telling(self, now: int) -> Telling:
        """Return the texts at `now`, the same as `assess()` leads to."""
        texts, later = self.texts, now - self.since
        if self.places:
            head, *rest = texts.split(PLACE)
            figures = [_shown(place, later) for place in self.places]
            texts = head + "".join([f + after for f, after in zip(figures, rest, strict=True)])
        parts = texts.split("\n")
        cells = list(map(Cell, parts, self.styles))
        why = Note(self.plan, cells[-1], self.command) if self.has_reason else None
        return Telling(cells[:_COLUMNS], cells[_COLUMNS], why, parts[-1])


def _shown(place: Place, later: int) -> str:
    how, (a, b, c, d) = place
    if how == SHARE:
        t = later / 1e6
        return format_share((a + b * t) / (c + d * t))
    seconds = (a + b * later) / 1e6
    return format_age(seconds) if how == AGE else format_duration(seconds)
