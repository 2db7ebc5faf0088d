"""When the newest entry of the records gets a time stamp, and what the stamp is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drd.model.timestamps import Stamp, is_due

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY_S = 86400.0


def stamp(seq: int, ago_s: float) -> Stamp:
    return Stamp(seq, "4e1f", NOON - timedelta(seconds=ago_s), "https://tsa.example", b"der")


@pytest.mark.parametrize(
    ("newest", "head", "due"),
    [
        (None, 0, True),
        (stamp(6, DAY_S), 7, True),
        (stamp(6, DAY_S - 1), 7, False),
        (stamp(7, DAY_S), 7, False),  # nothing new to stamp
        (stamp(8, DAY_S), 7, False),
        (stamp(6, -1), 7, True),  # of the future: a clock was set
        (stamp(6, 0), 7, False),
    ],
)
def test_a_new_entry_is_stamped_when_the_last_stamp_is_old_enough(
    newest: Stamp | None, head: int, *, due: bool
) -> None:
    assert is_due(newest, head, DAY_S, NOON) is due


def test_a_stamp_is_named_after_its_entry() -> None:
    made = stamp(7, 0)
    assert made.tags == ("drd-timestamp", "stamp.7.4e1f")
    assert made.file == "entry-7.tsr"
