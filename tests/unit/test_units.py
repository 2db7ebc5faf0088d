"""Durations, sizes and times as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.units import (
    format_duration,
    format_size,
    from_rfc3339,
    parse_duration,
    parse_size,
    to_rfc3339,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900),
        ("1h30m", 5400),
        ("7d", 604800),
        ("2w", 1209600),
        ("0.5s", 0.5),
        ("1h 5m", 3900),
    ],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "15 minutes", "1:30", "5m!", "6M", "7D"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="like 15m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"), [("512M", 512 << 20), ("1.5GiB", 3 << 29), ("100", 100), ("2 kB", 2048)]
)
def test_size_is_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"), (0, "0s"), (0.84, "0.8s"), (59, "59s"), (60, "1m"), (94, "1m 34s"),
        (252, "4m 12s"), (3600, "1h"), (10920, "3h 02m"), (86400, "1d"), (190800, "2d 5h"),
        (-90, "-1m 30s"),
    ],
)  # fmt: skip
def test_duration_is_written(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_written_duration_reads_back_to_what_was_shown(seconds: int) -> None:
    back = parse_duration(format_duration(seconds))
    assert back <= seconds
    assert seconds - back < (60 if seconds < 86400 else 3600)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (612 << 20, "612 MiB"), (3 << 40, "3.0 TiB")],
)
def test_size_is_written(count: int, text: str) -> None:
    assert format_size(count) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_survives_writing_and_reading(at: datetime) -> None:
    assert from_rfc3339(to_rfc3339(at)) == at


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+01:00"])
def test_time_that_no_calendar_has_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is out of range"):
        from_rfc3339(text)


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        from_rfc3339("2026-11-25T00:31:00")
