"""The texts of `drd status` for a plan with reasons, alerts or copies to name, without judging it
again.

Like a `Brief` they are valid until a known moment (`validity`). Until then only the figures in them
change, for which the texts have places.
"""

from __future__ import annotations

from drd.model.cells import Cell, Note
from drd.model.units import AGE, SHARE, format_age, format_duration, format_share
from drd.model.verdicts import Verdict
from drd.named import NamedTuple

PLACE = "⟦"
"""Marks the place of a figure in a text. It is printable, so that nothing that cleans texts removes
it. Texts that contain it themselves cannot be stored like this.
"""
Place = tuple[int, tuple[float, float, float, float]]
"""How to show such a figure (`units.DURATION` …), and its course (`validity.Course`). The course of
a duration is in microseconds, which are exact, and grows or shrinks by a second a second.
"""

_COLUMNS = 9
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


class Telling(NamedTuple):
    """The texts at one moment. `row` has no column of copies. `first` is the most severe reason's
    text, empty without any.
    """

    row: list[Cell]
    copies: Cell
    notes: list[Note]
    first: str


class Told(NamedTuple):
    """The texts of a plan from `since` and before `until`; both, and its file, are like those of a
    `Brief`. `texts` are those of a row, of the copies, of each sentence, and of the first reason,
    one a line and with a `PLACE` for each of `places`. `styles` are those of the row, the copies
    and the sentences. `critical` are messages of critical alerts. `packages` are those of the plan,
    as in its facts.
    """

    plan: str
    since: int
    until: int
    file: str
    file_mtime_ns: int
    file_size: int
    word: str
    texts: str
    places: list[Place]
    styles: list[str]
    commands: list[str]
    has_copies: bool
    has_reasons: bool
    critical: list[str]
    packages: dict[str, str]

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS[self.word]

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
        plan = self.plan
        return Telling(
            cells[:_COLUMNS],
            cells[_COLUMNS],
            [Note(plan, *told) for told in zip(cells[_COLUMNS + 1 :], self.commands, strict=True)],
            parts[-1],
        )


def _shown(place: Place, later: int) -> str:
    how, (a, b, c, d) = place
    if how == SHARE:
        t = later / 1e6
        return format_share((a + b * t) / (c + d * t))
    seconds = (a + b * later) / 1e6
    return format_age(seconds) if how == AGE else format_duration(seconds)
