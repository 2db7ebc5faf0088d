"""What a plan may expect of a value, and how it is judged."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from drd.checks.expectation import (
    Comparison,
    Judgement,
    Near,
    Recent,
    Surroundings,
    Tolerance,
    judge,
    parse_expectation,
    parse_tolerance,
    to_time,
)
from drd.model.run import CheckVerdict

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def judged(expect: str | float, value: Any, **around: Any) -> Judgement:
    return judge(parse_expectation(expect), value, Surroundings(900.0, AT, **around))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("> 0", Comparison(">", Decimal(0))),
        (">=1.5", Comparison(">=", Decimal("1.5"))),
        ("== 42", Comparison("==", Decimal(42))),
        ("= 42", Comparison("==", Decimal(42))),
        ("  <   -3 ", Comparison("<", Decimal(-3))),
        ("!= draft", Comparison("!=", "draft")),
        ("== 'two words '", Comparison("==", "two words ")),
        ("ok", Comparison("==", "ok")),
        ("17", Comparison("==", Decimal(17))),
        (17, Comparison("==", Decimal(17))),
        (0.1, Comparison("==", Decimal("0.1"))),
        (True, Comparison("==", "true")),
        ("== null", Comparison("==", None)),
        ("== 'null'", Comparison("==", "null")),
        ('!= "draft"', Comparison("!=", "draft")),
        ("!= NULL", Comparison("!=", None)),
        ("== ''", Comparison("==", "")),
        ("== '", Comparison("==", "'")),
        ("'draft\"", Comparison("==", "'draft\"")),
        ("abba", Comparison("==", "abba")),
        (False, Comparison("==", "false")),
        ("within rpo", Recent(None)),
        ("within RPO", Recent(None)),
        ("within 2h", Recent(7200.0)),
        ("within 1h30m", Recent(5400.0)),
        ("within 10%", Near(Decimal(10), None)),
        ("within 0.5 % of 5000", Near(Decimal("0.5"), Decimal(5000))),
        ("withinside", Comparison("==", "withinside")),
    ],
)
def test_an_expectation_is_read_as_a_comparison_and_its_value(
    text: str | float, meaning: object
) -> None:
    assert parse_expectation(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "=> 0",
        "=< 5",
        "<> 3",
        "=== 1",
        "!== 1",
        "",
        "  ",
        "> many",
        "> 0 and < 5",
        "< ",
        "==",
        "within",
        "within reason",
        "within 10% of it",
    ],
)
def test_a_malformed_expectation_is_refused_with_the_possible_forms(text: str) -> None:
    with pytest.raises(ValueError, match="within rpo"):
        parse_expectation(text)


@pytest.mark.parametrize(
    ("expect", "value", "met"),
    [
        ("> 0", 1, True),
        ("> 0", 0, False),
        ("> 0", None, False),
        ("!= 0", None, False),
        ("> 0", "not a number", False),
        ("> 0", Decimal("0.0001"), True),
        ("> 0", float("nan"), False),
        (">= 3", 3, True),
        ("<= 3", 3.0001, False),
        ("== 42", 42.0, True),
        ("== 42", "42", True),
        ("== 42", Decimal("42.00"), True),
        ("== 0.1", 0.1, True),
        ("== 9007199254740993", 9007199254740992, False),
        ("!= 42", 41, True),
        ("!= 42", "many", True),
        ("ok", "ok", True),
        ("ok", "OK", False),
        ("!= draft", "final", True),
        ("!= draft", "draft", False),
        ("true", True, True),
        ("== 1", True, True),
        ("false", True, False),
        ("== null", None, True),
        ("== null", 0, False),
        ("!= null", 0, True),
        ("!= null", None, False),
        ("within 10% of 5000", 4500, True),
        ("within 10% of 5000", 5501, False),
        ("within 10% of 5000", None, False),
        ("within 10% of -100", -109, True),
        ("within 10% of 0", 0, True),
        ("within 10% of 0", 1, False),
        ("within 10% of 5000", 5500, True),
        ("within 10% of 5000", 4499, False),
        ("within 10% of -100", -110, True),
        ("within 10% of -100", -111, False),
        (">= 3", 2.9999, False),
        ("<= 3", 3, True),
        ("< 3", 3, False),
        ("> 3", 3, False),
        ("== null", "null", False),
        ("!= 1", True, False),
    ],
)
def test_a_value_passes_exactly_when_it_meets_the_expectation(
    expect: str, value: Any, met: bool
) -> None:
    assert judged(expect, value).verdict is (CheckVerdict.PASSED if met else CheckVerdict.FAILED)


@pytest.mark.parametrize(
    ("expect", "value", "met"),
    [
        ("within rpo", AT - timedelta(seconds=900), True),
        ("within rpo", AT - timedelta(seconds=901), False),
        ("within 2h", AT - timedelta(hours=2), True),
        ("within 2h", AT - timedelta(hours=2, seconds=1), False),
        ("within rpo", AT + timedelta(seconds=60), True),
        ("within rpo", AT + timedelta(seconds=61), False),
        ("within rpo", AT + timedelta(days=365), False),
        ("within rpo", AT.astimezone(timezone(timedelta(hours=5))), True),
        ("within rpo", datetime(2026, 3, 1, 11, 59), True),  # noqa: DTZ001 - as MySQL-like columns
        ("within rpo", "2026-03-01 11:59:00", True),
        ("within rpo", "2026-03-01T11:59:00Z", True),
        ("within rpo", "2026-03-01T13:59:00+02:00", True),
        ("within rpo", "2026-03-01T13:59:00", False),
        ("within 1d", date(2026, 3, 1), True),
        ("within 1d", "2026-03-01", True),
        ("within 1d", "2026-02-01", False),
        ("within rpo", int(AT.timestamp()) - 60, True),
        ("within rpo", (int(AT.timestamp()) - 60) * 1000, True),
        ("within rpo", (AT.timestamp() - 60) * 1e6, True),
        ("within rpo", str(int(AT.timestamp()) - 60), True),
        ("within rpo", 5, False),
        ("within rpo", 1e300, False),
        ("within rpo", None, False),
        ("within rpo", "yesterday", False),
        ("within rpo", True, False),
    ],
)
def test_a_time_is_measured_back_from_the_data_time(expect: str, value: Any, met: bool) -> None:
    assert judged(expect, value).verdict is (CheckVerdict.PASSED if met else CheckVerdict.FAILED)


@pytest.mark.parametrize(
    ("expect", "value", "observed", "expected"),
    [
        ("> 0", 312044, "312,044", "> 0"),
        ("== 42", None, "NULL", "== 42"),
        ("ok", "a\nb\tc", "a b c", "== ok"),
        ("ok", "", "an empty text", "== ok"),
        (
            "within rpo",
            AT - timedelta(seconds=8),
            "8s before the data time",
            "within the RPO of 15m",
        ),
        ("within 2h", AT + timedelta(seconds=3), "3s after the data time", "within 2h"),
        (
            "within 2h",
            "2026-03-01 11:00:00",
            "1h before the data time (the value has no time zone: drd reads it as UTC)",
            "within 2h",
        ),
        ("within rpo", None, "NULL, which is not a time", "within the RPO of 15m"),
        ("within rpo", AT, "0s before the data time", "within the RPO of 15m"),
        (
            "within 1d",
            date(2026, 3, 1),
            (
                "12h before the data time "
                "(the value is a date: drd takes the start of this day in UTC)"
            ),
            "within 1d",
        ),
        ("== null", True, "true", "== NULL"),
        ("> 0", Decimal("1234.50"), "1,234.50", "> 0"),
        ("> 1234", 0.5, "0.5", "> 1,234"),
        ("within 2.50% of 8", 8, "8", "within 2.5% of 8"),
        ("within 10% of 5000", 4800, "4,800", "within 10% of 5,000"),
    ],
)
def test_values_are_shown_for_people(expect: str, value: Any, observed: str, expected: str) -> None:
    found = judged(expect, value)
    assert (found.observed, found.expected) == (observed, expected)


def test_true_and_false_are_not_a_time() -> None:
    assert to_time(True) == (None, "")
    assert to_time(1) == (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "")


def test_numbers_are_times_in_seconds_or_in_parts_of_them() -> None:
    """Seconds until the year 5138, then milliseconds and microseconds."""
    assert to_time(10**11)[0] == datetime(5138, 11, 16, 9, 46, 40, tzinfo=UTC)
    assert to_time(10**11 + 1000)[0] == datetime(1973, 3, 3, 9, 46, 41, tzinfo=UTC)
    assert to_time(-(10**11) - 1000)[0] == datetime(1966, 10, 31, 14, 13, 19, tzinfo=UTC)
    assert to_time(10**14)[0] == datetime(5138, 11, 16, 9, 46, 40, tzinfo=UTC)
    assert to_time(10**15)[0] == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert to_time(10**18) == (None, "")


def test_a_short_text_is_a_date_and_a_longer_one_a_time() -> None:
    assert to_time("2026-03-01") == (
        datetime(2026, 3, 1, tzinfo=UTC),
        " (the value is a date: drd takes the start of this day in UTC)",
    )
    assert to_time(" 2026-03-01T12 ") == (
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        " (the value has no time zone: drd reads it as UTC)",
    )
    assert to_time("") == (None, "")


def test_at_most_one_short_line_of_the_data_is_shown() -> None:
    found = judged("ok", "secret " * 1000)
    assert len(found.observed) <= 80


@pytest.mark.parametrize("baseline", [5000, 5000.0, Decimal(5000), "5000", "5000.0"])
def test_a_share_is_of_the_earlier_answer_of_the_source(baseline: Any) -> None:
    assert judged("within 10%", 5400, baseline=baseline).verdict is CheckVerdict.PASSED
    assert judged("within 10%", 5600, baseline=baseline).verdict is CheckVerdict.FAILED
    assert judged("within 10%", 4400, baseline=baseline).verdict is CheckVerdict.FAILED


def test_a_share_of_nothing_known_is_not_run_with_the_reason() -> None:
    found = judged("within 10%", 5, no_baseline="never asked")
    assert (found.verdict, found.observed) == (CheckVerdict.NOT_RUN, "never asked")
    assert found.expected == "within 10% of the source's answer"
    unknown = judged("within 10%", 5, baseline="NULL")
    assert (unknown.verdict, unknown.observed) == (
        CheckVerdict.NOT_RUN,
        "the source's answer at backup was not a number",
    )


def test_only_a_comparison_is_shown_with_its_bound() -> None:
    assert judged("> 0", 1).bound
    assert not judged("within 10% of 5", 5).bound
    assert not judged("within rpo", AT).bound


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (0, Tolerance()),
        ("0", Tolerance()),
        (5, Tolerance(rows=5)),
        ("1%", Tolerance(share=Decimal(1))),
        ("0.5 %", Tolerance(share=Decimal("0.5"))),
    ],
)
def test_a_tolerance_is_read_as_rows_or_as_a_share(text: str | int, meaning: Tolerance) -> None:
    assert parse_tolerance(text) == meaning


@pytest.mark.parametrize("text", ["", "-1", "some", "1.5", "%", "1%%"])
def test_invalid_tolerances_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        parse_tolerance(text)


def test_a_tolerance_allows_in_both_directions() -> None:
    assert Tolerance(rows=2).allows(10, 8)
    assert not Tolerance(rows=2).allows(10, 13)
    assert Tolerance(share=Decimal(1)).allows(1000, 990)
    assert not Tolerance(share=Decimal(1)).allows(1000, 989)
    assert not Tolerance(share=Decimal(1)).allows(0, 1)
    assert Tolerance().exact
    assert not Tolerance(rows=1).exact
    assert not Tolerance(share=Decimal(1)).exact
    assert Tolerance(rows=2).allows(10, 12)
    assert Tolerance(share=Decimal(1)).allows(1000, 1010)
    assert Tolerance(rows=20, share=Decimal(1)).allows(1000, 980)


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        (Tolerance(), "as at backup"),
        (Tolerance(rows=1200), "as at backup, plus or minus 1,200 rows"),
        (Tolerance(share=Decimal("0.50")), "as at backup, plus or minus 0.5%"),
        (Tolerance(share=Decimal(100)), "as at backup, plus or minus 100%"),
    ],
)
def test_a_tolerance_is_put_into_words(tolerance: Tolerance, words: str) -> None:
    assert str(tolerance) == words


@pytest.mark.parametrize(
    ("expect", "value", "observed"),
    [
        (">= 1", "pending", "pending, which is a text and not a number"),
        (42, "about 20000", "about 20000, which is a text and not a number"),
        (">= 1", date(2026, 11, 30), "2026-11-30, which is a time and not a number"),
        ("> 0", float("nan"), "nan, which is not a number"),
        ("within 10% of 5000", "many", "many, which is a text and not a number"),
        ("about 20000", 19842, "19,842, which is a number, and the plan expects a text"),
        ("ok", Decimal("1.5"), "1.5, which is a number, and the plan expects a text"),
        (">= 3", 2, "2"),
        (">= 3", "2", "2"),
        ("ok", "bad", "bad"),
        ("true", False, "false"),
        (">= 1", None, "NULL"),
        ("within 10% of 5000", None, "NULL"),
    ],
)
def test_a_failed_comparison_of_a_number_with_a_text_names_both_types(
    expect: str | float, value: Any, observed: str
) -> None:
    found = judged(expect, value)
    assert (found.verdict, found.observed) == (CheckVerdict.FAILED, observed)
