"""Find out which numbers in the names of dumps change from one dump of a database to the next:
numbers of a date, of a time, or of a counter. Any other number belongs to the name, as in
`tenant1`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

DAYS = ("mon", "tues?", "wed(nes)?", "thu(rs?)?", "fri", "sat(ur)?", "sun")
MONTHS = (
    *("jan(uary)?", "feb(ruary)?", "mar(ch)?", "apr(il)?", "may", "june?", "july?"),
    *("aug(ust)?", "sep(t|tember)?", "oct(ober)?", "nov(ember)?", "dec(ember)?"),
)
"""The names of days, without `day`, and of months, as extended regular expressions of POSIX."""

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_ANY_DAY, _SEPARATOR = r"(?:[12]\d|3[01]|0?[1-9])", r"[-_./]"
_MONTHS, _DAYS = f"({'|'.join(MONTHS)})", f"({'|'.join(DAYS)})(day)?"
_TIME = r"(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d(?:[.,]?\d{3,9})?)?(?:z|\+\d\d:?\d\d)?"
_THEN_TIME = rf"(?:(?:[-_.t@]{{0,3}}{_TIME}|t(?:[01]\d|2[0-3]))(?!\d))?"
_BEGINS, _ENDS = r"(?<!\d)", r"(?!\d)"

_FULL = (
    rf"{_YEAR}(?P<a>{_SEPARATOR}?){_MONTH}(?P=a){_DAY}",
    rf"{_DAY}(?P<b>{_SEPARATOR}?){_MONTH}(?P=b){_YEAR}",
    rf"{_MONTH}(?P<c>{_SEPARATOR}){_DAY}(?P=c){_YEAR}",
    rf"(?<![a-z]){_ANY_DAY}[-_.]?{_MONTHS}(?:[-_.]?{_YEAR}|(?![a-z0-9]))",
    rf"{_YEAR}[-_.]?{_MONTHS}(?:[-_.]?{_ANY_DAY}|(?![a-z0-9]))",
    rf"(?<![a-z]){_MONTHS}[-_.]?(?:{_ANY_DAY}[-_.])?{_YEAR}",
    r"1[2-9]\d{8}(?:\d{3}|\d{6}|\d{9})?",  # seconds since 1970
)
_FULL_DATE = re.compile(rf"{_BEGINS}(?:{'|'.join(_FULL)}){_THEN_TIME}{_ENDS}", re.IGNORECASE)
_SHORT = (
    rf"[23]\d{_MONTH}{_DAY}",
    rf"{_YEAR}{_SEPARATOR}?{_MONTH}",
    rf"(?:{_YEAR}[-_.]?)?(?<![a-z])(?:w\d\d|(?:wk|week|kw|day|month|hour)[-_]?\d\d?)",
    rf"(?<![a-z]){_DAYS}[-_.t]{_TIME}",
)
_SHORT_DATE = re.compile(rf"{_BEGINS}(?:{'|'.join(_SHORT)}){_THEN_TIME}{_ENDS}", re.IGNORECASE)
_ROTATED = re.compile(r"\.[A-Za-z]\w*\.(\d{1,3})(?:\.(?:gz|bz2|xz|zst))?")

_RUNS, _UNDATED_RUNS, _HOURS = 4, 3, 3
"""The number of dumps that is enough to recognise a counter in their names."""
_APART_S = 3600.0
"""The least time between two dumps of one database. A script that dumps several databases leaves
less time between them."""


class Numbered(NamedTuple):
    """A dump by one number in its name: the value, what dates the name has, and when the dump was
    finished, if that is known."""

    value: int
    dates: tuple[str, ...]
    at: datetime | None


def dated(name: str) -> list[tuple[int, int]]:
    """Return the begin and the end of each date or time in a name."""
    dates = [match.span() for match in _FULL_DATE.finditer(name)]
    return dates or [match.span() for match in _SHORT_DATE.finditer(name)]


def is_rotated(name: str, start: int) -> bool:
    """Return whether the number at `start` is the number of a rotation, as in `shop.dump.1`."""
    match = _ROTATED.search(name)
    return bool(match and match.end() == len(name) and match.start(1) == start)


def counts_dumps(dumps: Sequence[Numbered], *, rotated: bool) -> bool:
    """Return whether a number that is no date counts the dumps of one database: it must go up, or
    down, with each of them. Two dumps of one day are of two databases."""
    if any(dump.dates for dump in dumps):
        return _are_hours(dumps) or _are_runs(dumps)
    times = sorted((dump.at, dump.value) for dump in dumps if dump.at is not None)
    if len(times) < len(dumps):
        return False
    enough = rotated or (len(times) >= _UNDATED_RUNS and _are_apart([at for at, _ in times]))
    return enough and _goes_round([value for _, value in times])


def _are_apart(times: Sequence[datetime]) -> bool:
    return all((b - a).total_seconds() >= _APART_S for a, b in pairwise(sorted(times)))


def _are_runs(dumps: Sequence[Numbered]) -> bool:
    times = sorted((dump.at, dump.value) for dump in dumps if dump.at is not None)
    are_apart = _are_apart([at for at, _ in times])
    if len(dumps) < _RUNS or len(times) < len(dumps) or not are_apart:
        return False
    is_rising = all(a < b for (_, a), (_, b) in pairwise(times))
    return is_rising and len({dump.dates for dump in dumps}) == len(dumps)


def _are_hours(dumps: Sequence[Numbered]) -> bool:
    """Return whether the numbers are the hours at which the dumps were finished, in any zone."""
    values = {dump.value for dump in dumps}
    finished = [(dump.at, dump.value) for dump in dumps if dump.at is not None]
    if len(values) < _HOURS or max(values) > 23 or len(finished) < len(dumps):
        return False
    behind = {(at.hour - value) % 24 for at, value in finished}
    return len(behind) == 1 and len({(d.value, d.dates) for d in dumps}) == len(dumps)


def _goes_round(values: Sequence[int]) -> bool:
    pairs = list(pairwise([*values, *values[:1]]))
    return sum(a >= b for a, b in pairs) <= 1 or sum(a <= b for a, b in pairs) <= 1
