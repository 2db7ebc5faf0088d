"""What a replay of a server's log says of the data that it leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drd.kinds.server_logs import rolled_to
from drd.model.log import LogMark, LogTarget

END = datetime(2026, 11, 30, 2, 33, 31, 600000, UTC)
MARK = LogMark(100, 1, END)


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("later_s", [-0.1, 0.0, 0.1])
def test_the_data_is_never_newer_than_the_time_asked_for_nor_than_the_log(
    later_s: float, stopped: bool
) -> None:
    before = END + timedelta(seconds=later_s)
    rolled = rolled_to("the WAL", LogTarget(before), MARK, (None, None), stopped=stopped)
    assert rolled.data_time == min(before, END)


def test_a_replay_to_the_end_says_until_when_it_has_everything() -> None:
    rolled = rolled_to("the WAL", LogTarget(), MARK, (7, None), stopped=False)
    assert rolled.data_time == END
    assert "(everything that was committed at 2026-11-30 02:33:31 UTC)" in rolled.words
    assert rolled.words.endswith("; transaction 7 is there")


@pytest.mark.parametrize(
    ("target", "is_exact"),
    [
        (LogTarget(position=50), True),
        (LogTarget(transaction=8), True),
        (LogTarget(rehearses=True), False),  # a drill leaves out the last one on purpose
        (LogTarget(before=END), False),
    ],
)
def test_the_data_is_of_when_the_first_transaction_that_is_left_out_was_committed(
    target: LogTarget, is_exact: bool
) -> None:
    at = END - timedelta(minutes=8)
    rolled = rolled_to("the WAL", target, MARK, (7, 8), stopped=True, left_out_at=at)
    assert rolled.data_time == (at if is_exact else END)


@pytest.mark.parametrize(
    ("earlier", "told"),
    [
        (0, ", transaction 8, the next one, is not"),
        (1, "; 1 transaction that comes later in the log has an earlier time, and is left out"),
        (
            2000,
            "2,000 transactions that come later in the log have earlier times, and are left out",
        ),
    ],
)
def test_what_is_left_out_although_its_time_is_earlier_is_told(earlier: int, told: str) -> None:
    rolled = rolled_to("the WAL", LogTarget(END), MARK, (7, 8), stopped=True, earlier=earlier)
    assert rolled.words.endswith(told)
