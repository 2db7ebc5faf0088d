"""What a plan expects of a value, and its comparison: pure.

`> 0`, `>= 1`, `== 42`, `!= draft`, `< 10`, a bare value, `within rpo`, `within 2h`, `within 10%`,
`within 10% of 5000`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from drd.checks.words import number, shorten
from drd.model.clock import DATA_SKEW_S
from drd.model.malformed import Malformed
from drd.model.run import CheckVerdict
from drd.model.units import format_duration, parse_duration

_FORMS = (
    "write `> 0`, `>= 1`, `== 42`, `!= 0`, `< 10`, a bare value, `within rpo`, `within 2h`, "
    "`within 10%` or `within 10% of 5000`"
)
_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<|=)\s*(.*)", re.DOTALL)
_MISSPELT = re.compile(r"(?>==|!=|>=|<=|>|<|=)[=<>!]")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%(?:\s+of\s+(\S+))?", re.IGNORECASE)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operator` with a number, or for `==` and `!=` with a text; None is SQL's NULL."""

    operator: str
    value: Decimal | str | None

    def __str__(self) -> str:
        value = "NULL" if self.value is None else self.value
        shown = number(value) if isinstance(value, Decimal) else shorten(value)
        return f"{self.operator} {shown}"


@dataclass(frozen=True, slots=True)
class Recent:
    """A time at most `limit_s` before the data time; None: the plan's RPO."""

    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Near:
    """A number at most `share` percent away from `of`; None: from the source's own answer."""

    share: Decimal
    of: Decimal | None


Expectation = Comparison | Recent | Near


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expectation may refer to. `baseline` is the number for `within 10%`, or
    `no_baseline` says why there is none."""

    rpo_s: float
    data_time: datetime
    baseline: Any = None
    no_baseline: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: CheckVerdict
    observed: str
    expected: str
    bound: bool = False


def parse_expectation(value: str | float) -> Expectation:
    """Parse an expectation. Raises ValueError with a list of the valid forms."""
    if isinstance(value, bool):
        return Comparison("==", str(value).lower())
    if not isinstance(value, str):
        return Comparison("==", Decimal(str(value)))
    text = value.strip()
    if not text:
        raise Malformed("the expectation is empty", _FORMS)
    if re.match(r"within\b", text, re.IGNORECASE):
        return _within(text, text[len("within") :].strip())
    if _MISSPELT.match(text):  # `=> 5` would compare with the text "> 5"
        raise Malformed(f"{text!r} does not begin with a known operator", _FORMS)
    if match := _COMPARISON.fullmatch(text):
        return _comparison(text, "==" if match[1] == "=" else match[1], match[2])
    return _comparison(text, "==", text)


def _comparison(text: str, operator: str, raw: str) -> Comparison:
    raw = raw.strip()
    if not raw:
        raise Malformed(f"{text!r} has no value to compare with", _FORMS)
    amount = to_number(raw)
    if amount is not None:
        return Comparison(operator, amount)
    if operator not in ("==", "!="):
        raise Malformed(f"the operator {operator} in {text!r} needs one number", _FORMS)
    if raw.lower() == "null":
        return Comparison(operator, None)
    quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\""
    return Comparison(operator, raw[1:-1] if quoted else raw)


def _within(text: str, rest: str) -> Expectation:
    if rest.lower() == "rpo":
        return Recent(None)
    if match := _SHARE.fullmatch(rest):
        of = to_number(match[2]) if match[2] else None
        if match[2] and of is None:
            raise Malformed(f"{match[2]!r} in {text!r} is not a number", _FORMS)
        return Near(Decimal(match[1]), of)
    try:
        return Recent(parse_duration(rest))
    except ValueError:
        raise Malformed(
            f"in {text!r}, `rpo`, a duration or a share must follow after `within`", _FORMS
        ) from None


def by_hand_words(expectation: Expectation) -> tuple[str, ...]:
    """Return an expectation for bash: the form, the operator or the share, and the value. Empty if
    the expectation needs what only drd knows, or if a text answer cannot distinguish NULL from an
    empty text."""
    if isinstance(expectation, Near) and expectation.of is not None:
        return "share", f"{expectation.share:f}", f"{expectation.of:f}"
    if not isinstance(expectation, Comparison) or expectation.value in (None, ""):
        return ()
    if isinstance(expectation.value, Decimal):
        return "number", expectation.operator, f"{expectation.value:f}"
    return "text", expectation.operator, expectation.value


def to_number(value: Any) -> Decimal | None:
    """Exactly, also from text with blanks around it; None if it is not a finite number."""
    if isinstance(value, bool):
        return Decimal(int(value))
    if not isinstance(value, (int, float, Decimal, str)):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def judge(expectation: Expectation, value: Any, around: Surroundings) -> Judgement:
    """Return the judgement of `value` by the expectation; `not_run` only if there is nothing to
    compare with."""
    if isinstance(expectation, Comparison):
        met = _meets(expectation, value)
        observed = show(value) if met else f"{show(value)}{_other_type(expectation, value)}"
        return Judgement(_verdict(met), observed, str(expectation), bound=True)
    if isinstance(expectation, Near):
        return _judge_near(expectation, value, around)
    return _judge_recent(expectation, value, around)


def _meets(expectation: Comparison, value: Any) -> bool:
    wanted = expectation.value
    if wanted is None or value is None:
        same = value is None and wanted is None
        return (value is not None) if wanted is None and expectation.operator == "!=" else same
    if isinstance(wanted, str):
        # PostgreSQL prints booleans as true and false, and so do plans.
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return _OPERATORS[expectation.operator](text, wanted)
    amount = to_number(value)
    if amount is None:
        return expectation.operator == "!="
    return _OPERATORS[expectation.operator](amount, wanted)


def _other_type(expectation: Comparison, value: Any) -> str:
    """Say that the value can never be what is expected, because only one of them is a number."""
    if value is None or expectation.value is None or isinstance(value, bool):
        return ""
    if isinstance(expectation.value, Decimal):
        return _no_number(value)
    is_number = isinstance(value, (int, float, Decimal))
    return ", which is a number, and the plan expects a text" if is_number else ""


def _no_number(value: Any) -> str:
    if value is None or to_number(value) is not None:
        return ""
    is_time, is_text = isinstance(value, date), isinstance(value, str)
    what = "a text and " if is_text else "a time and " if is_time else ""
    return f", which is {what}not a number"


def _judge_near(expectation: Near, value: Any, around: Surroundings) -> Judgement:
    share = f"within {expectation.share.normalize():f}%"
    base = expectation.of if expectation.of is not None else _baseline(around)
    if base is None:
        why = around.no_baseline or "the source's answer at backup was not a number"
        return Judgement(CheckVerdict.NOT_RUN, why, f"{share} of the source's answer")
    amount = to_number(value)
    met = amount is not None and abs(amount - base) <= abs(base) * expectation.share / 100
    observed = f"{show(value)}{_no_number(value)}"
    return Judgement(_verdict(met), observed, f"{share} of {number(base)}")


def _baseline(around: Surroundings) -> Decimal | None:
    return to_number(around.baseline)


def _judge_recent(expectation: Recent, value: Any, around: Surroundings) -> Judgement:
    limit = around.rpo_s if expectation.limit_s is None else expectation.limit_s
    expected = f"within {format_duration(limit)}"
    if expectation.limit_s is None:
        expected = f"within the RPO of {format_duration(limit)}"
    at, remark = to_time(value)
    if at is None:
        return Judgement(CheckVerdict.FAILED, f"{show(value)}, which is not a time", expected)
    age = (around.data_time - at).total_seconds()
    side = "before" if age >= 0 else "after"
    observed = f"{format_duration(abs(age))} {side} the data time{remark}"
    return Judgement(_verdict(-DATA_SKEW_S <= age <= limit), observed, expected)


def to_time(value: Any) -> tuple[datetime | None, str]:
    """Return the instant that a database means, and a remark if it had to be guessed.

    Times with a zone, without one (UTC), dates (their beginning), ISO texts, and numbers: seconds
    since 1970, or milli- and microseconds if seconds would lie after the year 5000."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.replace(tzinfo=UTC), " (the value has no time zone: drd reads it as UTC)"
        return value, ""
    if isinstance(value, date):
        start = datetime(value.year, value.month, value.day, tzinfo=UTC)
        return start, " (the value is a date: drd takes the start of this day in UTC)"
    if isinstance(value, str) and to_number(value) is None:
        return _time_of_text(value.strip())
    amount = None if isinstance(value, bool) else to_number(value)
    return (None, "") if amount is None else _time_of_number(amount)


def _time_of_text(text: str) -> tuple[datetime | None, str]:
    try:
        if len(text) <= 10:
            return to_time(date.fromisoformat(text))
        return to_time(datetime.fromisoformat(text))
    except ValueError:
        return None, ""


def _time_of_number(amount: Decimal) -> tuple[datetime | None, str]:
    seconds = float(amount)
    for _ in range(2):
        if abs(seconds) > 1e11:
            seconds /= 1000
    try:
        return datetime.fromtimestamp(seconds, UTC), ""
    except (OverflowError, ValueError, OSError):
        return None, ""


def show(value: Any) -> str:
    """Return the observed value for people, bounded."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, Decimal)):
        return shorten(number(value))
    return shorten(str(value)) or "an empty text"


def _verdict(met: bool) -> CheckVerdict:
    return CheckVerdict.PASSED if met else CheckVerdict.FAILED


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a table's count may be off: `rows`, or `share` percent of the source's count."""

    rows: int = 0
    share: Decimal = Decimal(0)

    def allows(self, before: int, now: int) -> bool:
        return abs(now - before) <= max(Decimal(self.rows), before * self.share / 100)

    @property
    def exact(self) -> bool:
        return not self.rows and not self.share

    def __str__(self) -> str:
        if self.exact:
            return "as at backup"
        allowed = f"{self.share.normalize():f}%" if self.share else f"{self.rows:,} rows"
        return f"as at backup, plus or minus {allowed}"


def parse_tolerance(value: str | int) -> Tolerance:
    """Parse `5` or `1%`. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", str(value).strip())
    if match is None or (not match[2] and "." in match[1]):
        raise Malformed(
            f"{value!r} is not a tolerance", "write a number of rows, or a share like 1%"
        )
    return Tolerance(share=Decimal(match[1])) if match[2] else Tolerance(rows=int(match[1]))
