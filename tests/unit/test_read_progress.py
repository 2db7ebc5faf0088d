"""Reading a repository bit by bit: everything within the stated time, whatever runs were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from drd.model.read_progress import MOST_PARTS, Reading, begun, due_parts, parts_of

T0 = datetime(2026, 11, 25, tzinfo=UTC)
DAY = 86400.0


def test_parts_are_as_many_as_runs_fit_into_the_time() -> None:
    assert parts_of(7 * DAY, 90 * DAY) == 12
    assert parts_of(DAY, DAY) == 1
    assert parts_of(2 * DAY, DAY) == 1
    assert parts_of(60.0, 90 * DAY) == MOST_PARTS
    assert parts_of(None, 90 * DAY) == 1


def test_a_cycle_reads_each_part_once_and_then_begins_anew() -> None:
    reading = begun(None, 3, T0)
    seen = []
    for day in range(1, 5):
        seen.append(reading.next_part)
        reading = reading.read(T0 + timedelta(days=day))
    assert seen == [1, 2, 3, 1]
    assert reading.last_complete_at == T0 + timedelta(days=3)
    assert reading.cycle_started_at == T0 + timedelta(days=3)
    assert reading.last_part_at == T0 + timedelta(days=4)


def test_a_successful_verification_clears_the_error() -> None:
    assert Reading(3, 2, T0, error="damaged").read(T0).error is None


def test_another_number_of_parts_begins_a_new_cycle_and_keeps_when_all_was_read() -> None:
    before = Reading(12, 5, T0, last_complete_at=T0)
    after = begun(before, 6, T0 + timedelta(days=1))
    assert (after.parts, after.next_part, after.last_complete_at) == (6, 1, T0)
    assert begun(before, 12, T0 + timedelta(days=1)) is before


def test_a_clock_that_was_set_back_does_not_put_a_cycle_off() -> None:
    assert begun(Reading(12, 5, T0), 12, T0 - timedelta(days=9)).cycle_started_at < T0


def test_a_manual_verification_reads_all_remaining_parts() -> None:
    assert due_parts(Reading(1, 1, T0), None, 90 * DAY, T0) == 1
    assert due_parts(Reading(12, 5, T0), None, 90 * DAY, T0) == 8


def test_more_parts_are_read_at_once_when_fewer_runs_are_left() -> None:
    """The last one may end later than planned by a tenth of the time between two runs."""

    def due(left: int, time_left_s: float) -> int:
        now = T0 + timedelta(seconds=100 - time_left_s)
        return due_parts(Reading(12, 13 - left, T0), 10.0, 100.0, now)

    assert [due(2, s) for s in (21, 11, 10.9, 0, -50)] == [1, 1, 2, 2, 2]
    assert [due(5, s) for s in (42, 21, 11, 10.9)] == [1, 2, 3, 5]
    assert due(12, 100) == 2
    assert due(1, -50) == 1


def test_everything_may_be_read_at_once() -> None:
    whole = Reading(12, 5, T0).read_all(T0 + timedelta(days=1))
    assert whole == Reading(12, 1, *[T0 + timedelta(days=1)] * 3)


@given(
    interval_days=st.integers(1, 20),
    within_days=st.integers(20, 200),
    missed=st.sets(st.integers(0, 200), max_size=20),
)
def test_a_cycle_ends_in_time_although_runs_were_missed(
    interval_days: int, within_days: int, missed: set[int]
) -> None:
    interval_s, within_s = interval_days * DAY, within_days * DAY
    reading = begun(None, parts_of(interval_s, within_s), T0)
    run, last = 0, T0
    while reading.last_complete_at is None:
        now = T0 + timedelta(seconds=run * interval_s)
        if run not in missed:
            last = now
            for _ in range(due_parts(reading, interval_s, within_s, now)):
                reading = reading.read(now)
        run += 1
    # The last run that fits into the time is early enough, unless all at the end were missed.
    late = [r for r in missed if (r + 1) * interval_s > within_s - 2 * interval_s]
    if not late:
        assert (last - T0).total_seconds() <= within_s
