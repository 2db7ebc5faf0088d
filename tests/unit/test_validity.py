"""How long a judgement holds: each comparison with the time says when it comes out otherwise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.units import format_duration, format_share
from drd.model.validity import course, holds, holds_with_places

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PAST, FUTURE = NOON - timedelta(seconds=100), NOON + timedelta(seconds=400)
EARLY = 0.001  # by so much less, to be safe from rounding
Of = Callable[[datetime], Any]


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def age(now: datetime) -> Any:
    return (now - PAST).total_seconds()


def left(now: datetime) -> Any:
    return (FUTURE - now).total_seconds()


# Each grows or falls evenly, or as the quotient of two that do.
VALUES: dict[str, Of] = {
    "now": lambda n: n,
    "now + span": lambda n: n + timedelta(seconds=7),
    "span + now": lambda n: timedelta(seconds=7) + n,
    "now - span": lambda n: n - timedelta(seconds=7),
    "age": lambda n: n - PAST,
    "left": lambda n: FUTURE - n,
    "age + span": lambda n: (n - PAST) + timedelta(seconds=7),
    "span + age": lambda n: timedelta(seconds=7) + (n - PAST),
    "age - span": lambda n: (n - PAST) - timedelta(seconds=7),
    "span - age": lambda n: timedelta(seconds=7) - (n - PAST),
    "age + age": lambda n: (n - PAST) + (n - PAST),
    "age - left": lambda n: (n - PAST) - (FUTURE - n),
    "-age": lambda n: -(n - PAST),
    "abs(age)": lambda n: abs(n - PAST),
    "abs(-age)": lambda n: abs(PAST - n),
    "age * 3": lambda n: (n - PAST) * 3,
    "3 * age": lambda n: 3 * (n - PAST),
    "age / 4": lambda n: (n - PAST) / 4,
    "age / span": lambda n: (n - PAST) / timedelta(seconds=8),
    "span / age": lambda n: timedelta(seconds=8) / (n - PAST),
    "age / left": lambda n: (n - PAST) / (FUTURE - n),
    "age_s": age,
    "left_s": left,
    "age_s + 7": lambda n: age(n) + 7,
    "7 + age_s": lambda n: 7 + age(n),
    "age_s - 7": lambda n: age(n) - 7,
    "7 - age_s": lambda n: 7 - age(n),
    "age_s + age_s": lambda n: age(n) + age(n),
    "age_s - left_s": lambda n: age(n) - left(n),
    "-age_s": lambda n: -age(n),
    "+age_s": lambda n: +age(n),
    "abs(age_s)": lambda n: abs(age(n)),
    "abs(-age_s)": lambda n: abs(-age(n)),
    "age_s * 3": lambda n: age(n) * 3,
    "3 * age_s": lambda n: 3 * age(n),
    "age_s / 4": lambda n: age(n) / 4,
    "1000 / age_s": lambda n: 1000 / age(n),
    "age_s / left_s": lambda n: age(n) / left(n),
    "age_s / left_s + 7": lambda n: age(n) / left(n) + 7,
    "7 - age_s / left_s": lambda n: 7 - age(n) / left(n),
    "age_s / left_s * 3": lambda n: age(n) / left(n) * 3,
    "age_s / left_s + itself": lambda n: age(n) / left(n) + age(n) / left(n),
    "timestamp": lambda n: n.timestamp(),
}
COMPARED = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


@pytest.mark.parametrize("compared", COMPARED)
@pytest.mark.parametrize("name", VALUES)
def test_a_comparison_holds_until_its_bound_is_reached(name: str, compared: Any) -> None:
    value = VALUES[name]
    for seconds in (50.0, 0.5):
        bound = value(later(seconds))
        for turned in (False, True):

            def judge(now: datetime, bound: Any = bound, *, turned: bool = turned) -> Any:
                return compared(bound, value(now)) if turned else compared(value(now), bound)

            result, holds_s = holds(judge, NOON)
            assert result == judge(NOON)
            assert holds_s == pytest.approx(seconds - EARLY, abs=2e-5)


@pytest.mark.parametrize("compared", COMPARED)
@pytest.mark.parametrize("name", VALUES)
def test_a_bound_that_is_past_stays_past(name: str, compared: Any) -> None:
    value = VALUES[name]
    for seconds in (-50.0, -0.5):
        bound = value(later(seconds))
        result, holds_s = holds(lambda n, b=bound: compared(value(n), b), NOON)
        assert result == compared(value(NOON), bound)
        # A quotient may come back to it on the other side of its pole.
        assert holds_s == math.inf or "/ left" in name


@pytest.mark.parametrize("compared", COMPARED)
@pytest.mark.parametrize("name", VALUES)
def test_a_bound_that_is_reached_just_now_holds_for_no_time(name: str, compared: Any) -> None:
    value = VALUES[name]
    bound = value(NOON)
    result, holds_s = holds(lambda n: compared(value(n), bound), NOON)
    assert (result, holds_s) == (compared(bound, bound), 0.0)


def test_a_value_that_is_zero_at_one_moment_is_true_until_then() -> None:
    for value in (lambda n: FUTURE - n, left):
        assert holds(lambda n, v=value: bool(v(n)), NOON) == (True, 400 - EARLY)
        assert holds(lambda n, v=value: bool(v(n)), FUTURE) == (False, 0.0)
        assert holds(lambda n, v=value: bool(v(n)), later(401)) == (True, math.inf)


def test_small_negative_values_have_their_absolute_value() -> None:
    for half in (lambda n: n - later(0.5), lambda n: later(-0.5) - n):
        assert holds(lambda n, h=half: abs(h(n)) == timedelta(seconds=0.5), NOON)[0]
        assert holds(lambda n, h=half: abs(h(n).total_seconds()) == 0.5, NOON)[0]


def test_a_quotient_changes_its_sign_at_its_pole() -> None:
    assert holds(lambda n: age(n) / left(n) > 0, NOON)[1] == pytest.approx(400 - EARLY)
    assert holds(lambda n: 1000 / left(n) > 0, NOON)[1] == pytest.approx(400 - EARLY)


def test_a_value_that_does_not_depend_on_time_holds_for_ever() -> None:
    still: dict[str, Of] = {
        "nothing": lambda _: True,
        "the difference of two spans": lambda n: (n - PAST) - (n - FUTURE) > timedelta(seconds=7),
        "its words": lambda n: str((n - PAST) - (n - FUTURE)) == "0:08:20",
        "their sum": lambda n: (n - PAST) + (FUTURE - n) == timedelta(seconds=500),
        "the difference of two numbers": lambda n: age(n) + left(n) > 7,
        "now and now": lambda n: n - n == timedelta() and n == n and not n < n,  # noqa: PLR0124
        "something else": lambda n: n != "noon" and (n - PAST) != 1 and age(n) != "1",
    }
    for judge in still.values():
        assert holds(judge, NOON) == (True, math.inf)


# What nobody can follow holds for no time, and is as it would be.
UNTOLD: dict[str, Of] = {
    "format": lambda n: f"{n:%H:%M}",
    "str": str,
    "strftime": lambda n: n.strftime("%H"),
    "isoformat": lambda n: n.isoformat(),
    "isoformat with words": lambda n: n.isoformat(" ", "minutes"),
    "astimezone": lambda n: n.astimezone(UTC),
    "now + age": lambda n: n + (n - PAST),
    "now - age": lambda n: n - (n - PAST),
    "str of a span": lambda n: str(n - PAST),
    "str of a number": lambda n: str(age(n)),
    "repr of a number": lambda n: repr(age(n)),
    "a number in a text": lambda n: f"{age(n):.1f}",
    "int": lambda n: int(age(n) + 0.5),
    "trunc": lambda n: math.trunc(age(n) + 0.5),
    "floor": lambda n: math.floor(age(n) + 0.5),
    "ceil": lambda n: math.ceil(age(n) + 0.5),
    "round": lambda n: round(age(n) + 0.26, 1),
    "floor division": lambda n: age(n) // 30 > 2,
    "modulo": lambda n: age(n) % 30 > 5,
    "power": lambda n: age(n) ** 2 > 7,
    "product": lambda n: age(n) * left(n) > 7,
    "quotient of quotients": lambda n: (age(n) / left(n)) / left(n) > 0.1,
    "sum of unlike quotients": lambda n: age(n) / left(n) + age(n) > 7,
    "after something untold": lambda n: age(n) ** 2 + 1 > 7,
    "times something untold": lambda n: 3 * age(n) ** 2 > 7,
    "by something untold": lambda n: 7 / age(n) ** 2 > 7,
    "over something untold": lambda n: age(n) / age(n) ** 2 > 7,
}


@pytest.mark.parametrize("name", UNTOLD)
def test_a_value_whose_change_cannot_be_followed_holds_for_no_time(name: str) -> None:
    assert holds(UNTOLD[name], NOON) == (UNTOLD[name](NOON), 0.0)


def test_the_earliest_change_counts() -> None:
    def judge(now: datetime) -> list[bool]:
        return [now < later(s) for s in (90, 30, 60)]

    assert holds(judge, NOON) == ([True] * 3, 30 - EARLY)


def test_the_time_is_taken_in_utc() -> None:
    east = NOON.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    assert holds(lambda n: (n.hour, n.minute, n < later(60)), east) == ((12, 0, True), 60 - EARLY)


def test_hashes_are_those_of_plain_values() -> None:
    assert holds(lambda n: {hash(n), hash(n - PAST), hash(age(n))}, NOON)[0] == {
        hash(NOON),
        hash(NOON - PAST),
        hash(100.0),
    }


# --- figures that age in texts ---


def places_of(judge: Of) -> tuple[str, float, list[Any]]:
    return holds_with_places(judge, NOON)


def test_a_duration_in_a_text_becomes_a_place_that_ages() -> None:
    text, holds_s, places = places_of(lambda n: f"{format_duration(age(n))} old")
    assert (text[-5:], holds_s) == ("⟧ old", math.inf)
    [(_, line)] = places
    assert line == (100_000_000, 1.0, 1.0, 0.0)
    _, _, [(_, line)] = places_of(lambda n: format_duration(left(n)))
    assert line == (400_000_000, -1.0, 1.0, 0.0)


def test_several_places_are_numbered() -> None:
    text, _, places = places_of(lambda n: format_duration(age(n)) + format_duration(left(n)))
    assert len(places) == 2
    assert "0⟧" in text
    assert text.endswith("1⟧")


def test_a_share_in_a_text_keeps_both_its_parts() -> None:
    _, holds_s, [(_, line)] = places_of(lambda n: format_share(age(n) / left(n)))
    assert (holds_s, line) == (math.inf, (100.0, 1.0, 400.0, -1.0))


@pytest.mark.parametrize(
    "figure",
    [
        lambda n: age(n) * 2,
        lambda n: age(n) / left(n),
        lambda n: age(n) + 1e-7,
        lambda n: age(n) ** 2,
        lambda n: age(n) * age(n),
        lambda n: age(n) // 3,
    ],
)
def test_a_duration_that_ages_otherwise_holds_for_no_time(figure: Of) -> None:
    text, holds_s, places = places_of(lambda n: format_duration(figure(n)))
    assert (text, holds_s, places) == (format_duration(figure(NOON)), 0.0, [])


def test_without_places_a_duration_is_a_plain_text() -> None:
    text, _ = holds(lambda n: format_duration(age(n)), NOON)
    assert text == format_duration(100.0)


def test_a_figure_knows_how_it_changes_with_time() -> None:
    found: dict[str, Any] = {}

    def judge(now: datetime) -> None:
        found["age"], found["share"], found["square"] = (
            age(now),
            age(now) / left(now),
            age(now) ** 2,
        )

    holds(judge, NOON)
    assert course(found["age"]) == (100.0, 1.0, 1.0, 0.0)
    assert course(found["share"]) == (100.0, 1.0, 400.0, -1.0)
    assert course(found["square"]) is None
    assert course(7) == (7.0, 0.0, 1.0, 0.0)
