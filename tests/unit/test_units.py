"""Durations, sizes and times as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.units import (
    AGE,
    DURATION,
    SHARE,
    bare_time,
    exact_time,
    format_age,
    format_duration,
    format_rfc3339,
    format_share,
    format_size,
    format_sizes,
    format_span,
    format_time,
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
        ("1s", 1),
        ("1m", 60),
        ("1h", 3600),
        ("1d", 86400),
        ("1w", 604800),
        (" 1.5 h ", 5400),
    ],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "15 minutes", "1:30", "5m!", "6M", "7D"])
def test_a_text_that_is_not_a_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="like 15m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512M", 512 << 20),
        ("1.5GiB", 3 << 29),
        ("100", 100),
        ("2 kB", 2048),
        ("7b", 7),
        ("1K", 1 << 10),
        ("1m", 1 << 20),
        ("1G", 1 << 30),
        ("1t", 1 << 40),
        (" 3 TiB ", 3 << 40),
        ("0.5k", 512),
    ],
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


@pytest.mark.parametrize("text", ["", "M", "1X", "1KM", "-1M", "1,5G", "1e3"])
def test_a_text_that_is_not_a_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="like 512M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (9.94, "9.9s"), (9.96, "10s"), (10, "10s"), (59.9, "59s"), (61, "1m 01s"),
        (3599, "59m 59s"), (3659, "1h"), (3660, "1h 01m"), (86399, "23h 59m"),
        (86400 + 3599, "1d"), (90000, "1d 1h"), (10 * 86400 + 11 * 3600, "10d 11h"),
        (-0.5, "-0.5s"),
    ],
)  # fmt: skip
def test_duration_changes_its_units_at_their_bounds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5s"), (61, "1m"), (7199, "1h"), (2 * 86400 + 3600, "2d"), (-90, "-1m")],
)
def test_age_has_one_unit(seconds: float, text: str) -> None:
    assert format_age(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.00 %"), (0.99999, "99.99 %"), (0.9987, "99.87 %"), (0.0, "0.00 %")],
)
def test_share_is_rounded_down(share: float, text: str) -> None:
    assert format_share(share) == text


class Aging(float):
    """A number that has a place in texts, and keeps in `asked` how it is to be shown."""

    asked: list[int]

    def place(self, how: int) -> str | None:
        self.asked.append(how)
        return "here" if self > 0 else None


def test_a_number_that_ages_is_shown_by_its_place() -> None:
    for number, shown in ((Aging(60), ["here"] * 3), (Aging(0), ["0s", "0s", "0.00 %"])):
        number.asked = []
        assert [format_duration(number), format_age(number), format_share(number)] == shown
        assert number.asked == [DURATION, AGE, SHARE] == [0, 1, 2]


@given(st.integers(0, 10**9))
def test_written_duration_reads_back_to_what_was_shown(seconds: int) -> None:
    back = parse_duration(format_duration(seconds))
    assert back <= seconds
    assert seconds - back < (60 if seconds < 86400 else 3600)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (100 << 10, "100 KiB"),
        ((100 << 10) - 52, "99.9 KiB"),
        (1 << 20, "1.0 MiB"),
        (612 << 20, "612 MiB"),
        (1 << 30, "1.0 GiB"),
        ((1 << 40) - (1 << 30), "1023 GiB"),
        (1 << 40, "1.0 TiB"),
        (3 << 40, "3.0 TiB"),
        (2048 << 40, "2048.0 TiB"),
    ],
)
def test_size_is_written(count: int | None, text: str) -> None:
    assert format_size(count) == text


def test_two_sizes_that_read_alike_are_given_in_bytes() -> None:
    assert format_sizes(8192, 8197) == ("8,192 B", "8,197 B")
    assert format_sizes(8192, 8192) == ("8.0 KiB", "8.0 KiB")
    assert format_sizes(300, 8192) == ("300 B", "8.0 KiB")


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


def test_both_limits_of_a_span_are_within_it_as_they_are_shown() -> None:
    def span(begin: str, end: str) -> tuple[str, str]:
        minute = "2026-11-30T15:14:"
        return format_span(from_rfc3339(f"{minute}{begin}Z"), from_rfc3339(f"{minute}{end}Z"))

    day = "2026-11-30 15:14:"
    assert span("05.210217", "58.9") == (f"{day}06 UTC", f"{day}58 UTC")
    assert span("05", "06") == (f"{day}06 UTC", f"{day}06 UTC")
    assert span("05.21", "05.9") == (f"{day}05.21 UTC", f"{day}05.9 UTC")


def test_an_exact_time_has_as_many_digits_as_it_needs() -> None:
    assert exact_time(from_rfc3339("2026-11-25T01:31:07+01:00")) == "2026-11-25 00:31:07 UTC"
    assert exact_time(from_rfc3339("2026-11-25T00:31:07.050Z")) == "2026-11-25 00:31:07.05 UTC"


def test_times_are_shown_in_utc_and_with_seconds_where_these_are_wanted() -> None:
    at = from_rfc3339("2026-11-25T01:31:07+01:00")
    assert format_time(at) == "2026-11-25 00:31 UTC"
    assert format_time(at, seconds=True) == "2026-11-25 00:31:07 UTC"
    text = to_rfc3339(at)
    assert text == "2026-11-25T00:31:07Z"
    assert format_rfc3339(text) == "2026-11-25 00:31 UTC"
    assert format_rfc3339(text, seconds=True) == "2026-11-25 00:31:07 UTC"
    assert bare_time(text) == "2026-11-25 00:31:07"
