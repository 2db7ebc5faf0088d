"""What the screen says of a plan that has reasons, alerts or copies to name, without judging it
again.

As a `Brief` it stays true until a moment that is known (`held`). Until then the sentences stay the
same but for the figures in them that age, for which they have places.
"""

from __future__ import annotations

from drd.model.cells import Cell, Note
from drd.model.units import AGE, SHARE, format_duration, format_share
from drd.model.verdicts import Verdict
from drd.named import NamedTuple

PLACE = "⟦"
"""In a text: here comes a figure that ages. Printable, so that nothing that cleans texts takes it
away. Where a fact has one itself, nothing can be told apart any more."""
Place = tuple[int, tuple[float, float, float, float]]
"""How such a figure is shown (`units.DURATION` …), and its course (`held.Course`). That of a
duration is in microseconds, which are exact, and grows or shrinks by a second a second."""

_COLUMNS = 9
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


class Telling(NamedTuple):
    """The words of a moment. `row` has no column of copies. `first` is the gravest reason's text,
    empty without any."""

    row: list[Cell]
    copies: Cell
    notes: list[Note]
    first: str


class Told(NamedTuple):
    """A plan as it is shown from `since` and before `until`; both, and its file, as a brief has
    them.

    `texts` are those of a row, of the copies, of each sentence, and the first reason's, one a line
    and with a `PLACE` for each of `places`. `styles` are the row's, the copies' and the sentences'.
    `critical` are messages of critical alerts."""

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

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS[self.word]

    @property
    def copies(self) -> bool:
        """Whether there are any."""
        return self.has_copies

    def telling(self, now: int) -> Telling:
        """What `assess()` leads to at `now`."""
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
    text = format_duration(seconds)
    return text.split(" ", 1)[0] if how == AGE else text
