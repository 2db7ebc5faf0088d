"""The stored texts of `drd status`: until they end, only the figures in them change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from drd.model.cells import Cell, Note
from drd.model.status_notes import PLACE, Place, Told
from drd.model.units import AGE, DURATION, SHARE
from drd.model.verdicts import PlanState, Verdict

SINCE, SECOND = 1_000_000_000, 1_000_000
ROW = ["shop", "met", "a", "b", "c", "d", "e", "f"]
STYLES = [*"01234567", "of copies", "of the sentence"]


@dataclass
class Texts:
    """The last lines of the texts: what is told of copies, the sentence, and the reason alone."""

    copies: str = "1 copy"
    sentence: str = "alert; reason"
    reason: str = "reason"


def told(lines: Texts, *places: Place, row: list[str] = ROW, **of: Any) -> Told:
    base = Told(
        plan="shop",
        since=SINCE,
        until=SINCE + 60 * SECOND,
        file="shop.yaml",
        file_mtime_ns=1,
        file_size=2,
        word="at risk",
        state_word="needs drill",
        texts="\n".join([*row, lines.copies, lines.sentence, lines.reason]),
        places=list(places),
        styles=STYLES,
        command="drd drill shop",
        has_copies=True,
        has_reason=True,
        critical=[],
        packages={},
    )
    return base._replace(**of)


def test_texts_without_figures_are_told_as_they_are_with_their_styles() -> None:
    telling = told(Texts()).telling(SINCE + 5 * SECOND)
    assert telling.row == [Cell(text, style) for text, style in zip(ROW, STYLES, strict=False)]
    assert telling.copies == Cell("1 copy", "of copies")
    assert telling.why == Note("shop", Cell("alert; reason", "of the sentence"), "drd drill shop")
    assert telling.first == "reason"
    assert told(Texts(), has_reason=False).telling(SINCE).why is None


@pytest.mark.parametrize(
    ("place", "later_s", "shown"),
    [
        ((DURATION, (3_599e6, 1.0, 0.0, 0.0)), 0, "59m 59s"),
        ((DURATION, (3_599e6, 1.0, 0.0, 0.0)), 1, "1h"),
        ((DURATION, (3_600e6, -1.0, 0.0, 0.0)), 1, "59m 59s"),
        ((DURATION, (90_000e6, 1.0, 0.0, 0.0)), 0, "1d 1h"),
        ((AGE, (90_000e6, 1.0, 0.0, 0.0)), 0, "1d"),
        ((AGE, (86_398e6, 1.0, 0.0, 0.0)), 2, "1d"),
        ((SHARE, (50.0, 1.0, 100.0, 0.0)), 10, "60.00 %"),
        ((SHARE, (50.0, 0.0, 100.0, 1.0)), 100, "25.00 %"),
        ((SHARE, (99.0, 1.0, 100.0, 1.0)), 300, "99.75 %"),
    ],
)
def test_a_figure_goes_on_from_the_moment_of_the_texts(
    place: Place, later_s: int, shown: str
) -> None:
    lines = Texts(sentence=f"since {PLACE} ago")
    telling = told(lines, place).telling(SINCE + later_s * SECOND)
    assert telling.why is not None
    assert telling.why.text.text == f"since {shown} ago"


def test_each_place_has_its_figure_in_the_order_of_the_texts() -> None:
    places: list[Place] = [(DURATION, (n * 1e6, 1.0, 0.0, 0.0)) for n in (1, 2, 3)]
    lines = Texts(copies=PLACE, sentence="b", reason=f"r {PLACE}")
    row = [*ROW[:-1], f"f {PLACE}"]
    telling = told(lines, *places, row=row).telling(SINCE + SECOND)
    assert (telling.row[-1].text, telling.copies.text, telling.first) == ("f 2s", "3s", "r 4s")
    with pytest.raises(ValueError, match="zip"):
        told(lines, *places[:2], row=row).telling(SINCE)


def test_a_stored_word_is_the_verdict_or_state_that_it_was() -> None:
    for verdict in Verdict:
        assert told(Texts(), word=verdict.value).verdict is verdict
    for state in PlanState:
        assert told(Texts(), state_word=state.value).state is state
    for has in (True, False):
        assert told(Texts(), has_copies=has).copies is has
