"""Find for how long an assessment stays valid, by a `now` that notes when each comparison with it
would come out differently.

Verdicts change with time because code asks whether something is older than something else. A
function that gets a `Watched` time answers as it would for the plain one, and every comparison
notes the moment at which its result would change. Until the earliest of these the function takes
the same way through its code, so it returns the same, except for figures and texts that age. No
list of thresholds is needed, which somebody could forget to extend;
tests/unit/test_status_summary.py compares this with `assess()` itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from drd.model.status_notes import PLACE, Place
from drd.model.units import SHARE

_T = TypeVar("_T")

_ROUNDING_S = 0.001
"""By this much an answer is assumed to change too early, never too late."""


def holds(judge: Callable[[datetime], _T], now: datetime) -> tuple[_T, float]:
    """Return the result of `judge` at `now`, and for how many seconds it stays valid; infinity if
    it does not depend on time, 0 if it changes at once or this cannot be found out.
    """
    marks = _Marks()
    watched = _Now.of(now, marks)
    return judge(watched), max(0.0, marks.until_s - _ROUNDING_S)


Course = tuple[float, float, float, float]
"""How a figure changes with time: after t seconds it is (a + b·t) / (c + d·t)."""


def holds_with_places(
    judge: Callable[[datetime], _T], now: datetime
) -> tuple[_T, float, list[Place]]:
    """Return the same as `holds`, but replace each figure in texts that changes with time by a
    mark (`PLACE`, its number, `PLACE_END`); `Place` says how to show the figure.
    """
    marks = _Marks()
    marks.places = []
    result = judge(_Now.of(now, marks))
    return result, max(0.0, marks.until_s - _ROUNDING_S), marks.places


PLACE_END = "⟧"


def course(value: float) -> Course | None:
    """Return how a judged figure changes with time while the result is valid; None if this cannot
    be found out."""
    if not isinstance(value, _Seconds):
        return (float(value), 0.0, 1.0, 0.0)
    return None if value.line is None else (*value.line, *value.over)


class _Marks:
    """The earliest moment at which an answer changes, in seconds from now."""

    def __init__(self) -> None:
        self.until_s = math.inf
        self.places: list[Place] | None = None

    def crossing(self, gap: float, speed: float) -> None:
        """Note when a `gap` that grows by `speed` a second changes its sign."""
        if not speed:
            return
        if gap == 0:
            self.until_s = 0.0
        elif gap * speed < 0:
            self.until_s = min(self.until_s, -gap / speed)


class _Now(datetime):
    """The time at which something is judged; it advances by `speed` seconds a second."""

    marks: _Marks

    @classmethod
    def of(cls, at: datetime, marks: _Marks) -> _Now:
        at = at.astimezone(UTC)
        made = cls(
            at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, tzinfo=UTC
        )
        made.marks = marks
        return made

    def plain(self) -> datetime:
        return datetime.combine(self.date(), self.time(), self.tzinfo)

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, timedelta):
            if isinstance(other, _GrowingSpan):
                return _unknown(self.marks, self.plain() - other.plain())
            return _Now.of(self.plain() - other, self.marks)
        if isinstance(other, _Now):
            return self.plain() - other.plain()
        return _GrowingSpan.of(self.plain() - other, self.marks, 1.0)

    def __rsub__(self, other: datetime) -> Any:
        return _GrowingSpan.of(other - self.plain(), self.marks, -1.0)

    def __add__(self, other: timedelta) -> Any:
        if isinstance(other, _GrowingSpan):
            return _unknown(self.marks, self.plain() + other.plain())
        return _Now.of(self.plain() + other, self.marks)

    __radd__ = __add__

    def _gap(self, other: datetime) -> float:
        if isinstance(other, _Now):
            return (self.plain() - other.plain()).total_seconds()
        gap = (self.plain() - other).total_seconds()
        self.marks.crossing(gap, 1.0)
        return gap

    def __lt__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._gap(other) < 0

    def __le__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._gap(other) <= 0

    def __gt__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._gap(other) > 0

    def __ge__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._gap(other) >= 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, datetime) and self._gap(other) == 0

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.plain())

    def astimezone(self, tz: Any = None) -> Any:
        return _unknown(self.marks, self.plain().astimezone(tz))

    def __format__(self, how: str) -> str:
        return _unknown(self.marks, format(self.plain(), how))

    def __str__(self) -> str:
        return _unknown(self.marks, str(self.plain()))

    def strftime(self, how: str) -> str:
        return _unknown(self.marks, self.plain().strftime(how))

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return _unknown(self.marks, self.plain().isoformat(sep, timespec))

    def timestamp(self) -> float:
        return _Seconds.of((at := self.plain().timestamp()), self.marks, (at, 1.0))


def _unknown(marks: _Marks, value: _T) -> _T:
    """Return a value whose change with time is not followed: results that depend on it are valid
    for no time.
    """
    marks.until_s = 0.0
    return value


class _GrowingSpan(timedelta):
    """A span of time that grows by `speed` seconds a second."""

    marks: _Marks
    speed: float

    @classmethod
    def of(cls, span: timedelta, marks: _Marks, speed: float) -> _GrowingSpan:
        made = cls(span.days, span.seconds, span.microseconds)
        made.marks, made.speed = marks, speed
        return made

    def plain(self) -> timedelta:
        return timedelta(self.days, self.seconds, self.microseconds)

    def total_seconds(self) -> float:
        seconds = super().total_seconds()
        return _Seconds.of(seconds, self.marks, (seconds, self.speed))

    def __str__(self) -> str:
        return _unknown(self.marks, str(self.plain()))

    def _with(self, span: timedelta, speed: float) -> timedelta:
        return _GrowingSpan.of(span, self.marks, speed) if speed else span

    def __add__(self, other: timedelta) -> Any:
        return self._with(self.plain() + _plain(other), self.speed + _speed(other))

    __radd__ = __add__

    def __sub__(self, other: timedelta) -> Any:
        return self._with(self.plain() - _plain(other), self.speed - _speed(other))

    def __rsub__(self, other: timedelta) -> Any:
        return self._with(_plain(other) - self.plain(), _speed(other) - self.speed)

    def __neg__(self) -> Any:
        return self._with(-self.plain(), -self.speed)

    def __abs__(self) -> Any:
        return -self if self < timedelta() else self

    def __mul__(self, other: float) -> Any:
        return self._with(self.plain() * float(other), self.speed * float(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, timedelta):
            return self.total_seconds() / other.total_seconds()
        return self._with(self.plain() / float(other), self.speed / float(other))

    def __rtruediv__(self, other: timedelta) -> Any:
        return other.total_seconds() / self.total_seconds()

    def _gap(self, other: timedelta) -> float:
        gap = (self.plain() - _plain(other)).total_seconds()
        self.marks.crossing(gap, self.speed - _speed(other))
        return gap

    def __lt__(self, other: timedelta) -> bool:
        return self._gap(other) < 0

    def __le__(self, other: timedelta) -> bool:
        return self._gap(other) <= 0

    def __gt__(self, other: timedelta) -> bool:
        return self._gap(other) > 0

    def __ge__(self, other: timedelta) -> bool:
        return self._gap(other) >= 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, timedelta) and self._gap(other) == 0

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.plain())

    def __bool__(self) -> bool:
        return self._gap(timedelta()) != 0


def _plain(span: timedelta) -> timedelta:
    return span.plain() if isinstance(span, _GrowingSpan) else span


def _speed(value: object) -> float:
    return value.speed if isinstance(value, _GrowingSpan) else 0.0


_Line = tuple[float, float]
"""A number now, and its growth per second."""


class _Seconds(float):
    """A number that changes with time: the quotient of two that grow evenly; the second is mostly
    1. `line` is None if its change is unknown.
    """

    marks: _Marks
    line: _Line | None
    over: _Line

    @classmethod
    def of(
        cls, value: float, marks: _Marks, line: _Line | None, over: _Line = (1.0, 0.0)
    ) -> _Seconds:
        made = cls(value)
        made.marks, made.line, made.over = marks, line, over
        return made

    def place(self, how: int) -> str | None:
        """Return a mark for the number in a text, if somebody collects these."""
        places = self.marks.places
        if places is None or self.line is None:
            return _unknown(self.marks, None) if places is not None else None
        if how == SHARE:
            places.append((how, (*self.line, *self.over)))
        else:
            micro = self.line[0] * 1e6
            exact = abs(micro - round(micro)) < 0.01 and abs(self.line[1]) == 1.0
            if not exact or self.over != (1.0, 0.0):
                return _unknown(self.marks, None)
            places.append((how, (round(micro), self.line[1], 1.0, 0.0)))
        return f"{PLACE}{len(places) - 1}{PLACE_END}"

    def __format__(self, how: str) -> str:
        return _unknown(self.marks, format(float(self), how))

    def __str__(self) -> str:
        return _unknown(self.marks, str(float(self)))

    __repr__ = __str__

    def _plus(self, other: float, sign: float, value: float) -> _Seconds:
        """Return `self + sign * other`."""
        line = None
        if isinstance(other, _Seconds):
            added = other.line if other.over == self.over else None
        else:
            added = (other * self.over[0], other * self.over[1])
        if self.line is not None and added is not None:
            line = (self.line[0] + sign * added[0], self.line[1] + sign * added[1])
        return _Seconds.of(value, self.marks, line, self.over)

    def _scaled(self, factor: float, value: float) -> _Seconds:
        line = self.line and (self.line[0] * factor, self.line[1] * factor)
        return _Seconds.of(value, self.marks, line, self.over)

    def _unpredictable(self, value: float) -> _Seconds:
        return _Seconds.of(value, self.marks, None)

    def __add__(self, other: float) -> Any:
        return self._plus(other, 1.0, float(self) + float(other))

    __radd__ = __add__

    def __sub__(self, other: float) -> Any:
        return self._plus(other, -1.0, float(self) - float(other))

    def __rsub__(self, other: float) -> Any:
        return (-self)._plus(other, 1.0, float(other) - float(self))

    def __neg__(self) -> Any:
        return self._scaled(-1.0, -float(self))

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    def __mul__(self, other: float) -> Any:
        value = float(self) * float(other)
        return (
            self._unpredictable(value)
            if isinstance(other, _Seconds)
            else self._scaled(other, value)
        )

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> Any:
        value = float(self) / float(other)
        if not isinstance(other, _Seconds):
            return self._scaled(1 / other, value)
        if self.over == other.over and other.line is not None:
            return _Seconds.of(value, self.marks, self.line, other.line)
        return self._unpredictable(value)

    def __rtruediv__(self, other: float) -> Any:
        value = float(other) / float(self)
        if self.line is None:
            return self._unpredictable(value)
        (c, d) = self.over
        return _Seconds.of(value, self.marks, (other * c, other * d), self.line)

    def __int__(self) -> int:
        return _unknown(self.marks, int(float(self)))

    __trunc__ = __int__

    def __floor__(self) -> int:
        return _unknown(self.marks, math.floor(float(self)))

    def __ceil__(self) -> int:
        return _unknown(self.marks, math.ceil(float(self)))

    def __round__(self, digits: Any = None) -> Any:
        return _unknown(self.marks, round(float(self), digits))

    def __floordiv__(self, other: float) -> Any:
        return self._unpredictable(float(self) // float(other))

    def __mod__(self, other: float) -> Any:
        return self._unpredictable(float(self) % float(other))

    def __pow__(self, other: Any, mod: None = None) -> Any:
        return self._unpredictable(float(self) ** float(other))

    def _compared(self, other: float) -> float:
        """Return `other`, and note when the comparison with it would change."""
        gap = self._plus(other, -1.0, 0.0)
        if gap.line is None:
            self.marks.until_s = 0.0
        else:
            self.marks.crossing(*gap.line)
            self.marks.crossing(*self.over)
        return float(other)

    def __lt__(self, other: float) -> bool:
        return float(self) < self._compared(other)

    def __le__(self, other: float) -> bool:
        return float(self) <= self._compared(other)

    def __gt__(self, other: float) -> bool:
        return float(self) > self._compared(other)

    def __ge__(self, other: float) -> bool:
        return float(self) >= self._compared(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, float)) and float(self) == self._compared(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(float(self))

    def __bool__(self) -> bool:
        return float(self) != self._compared(0.0)
