"""The check `sql`: one value of a query against an expectation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from shlex import quote
from typing import Any, ClassVar, Literal

from pydantic import Field

from drd.checks.expectation import (
    Comparison,
    Near,
    Recent,
    Surroundings,
    by_hand_words,
    judge,
    parse_expectation,
    to_number,
)
from drd.checks.reading import changes
from drd.checks.settings import CheckSettings
from drd.checks.words import not_run, result, shorten
from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.fields import Contradiction, Duration
from drd.masking import masked
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.ports import CheckContext
from drd.ports.by_hand import ByHand, Passage
from drd.ports.check import CheckKind
from drd.ports.kinds import Ability, KindSpec
from drd.ports.sources import DatabaseQuery

_TIME_UNKNOWN = (
    "the log was replayed to a transaction, and drd does not know the time of this transaction"
)


class SqlCheck(CheckSettings):
    """Compares one value of a query with an expectation."""

    unsaid: ClassVar = {"database": (None,)}

    kind: Literal["sql"]
    component: str = Field(description="The component to query.")
    database: str | None = Field(
        None,
        min_length=1,
        description="The database to query, for a component that has several "
        "(`postgres-cluster`, `mariadb-server`). Default: the one in its `dsn`.",
    )
    query: str = Field(
        min_length=1,
        description="One query that gives a single value and changes nothing: SELECT, "
        "VALUES or TABLE; in PostgreSQL also SHOW with a setting, in SQLite "
        "also a PRAGMA that only reports.",
    )
    expect: bool | str | int | float = Field(
        description="`> 0`, `>= 1`, `== 42`, `!= 0`, `< 10` (a bare value means ==); "
        "`within rpo` or `within 2h` for a time, measured back from the "
        "point's data time, or from the time up to which a log was replayed; "
        "`within 10%` of the source's answer at backup, or "
        "`within 10% of 5000`."
    )
    timeout: Duration = Field(60.0, description="Time limit for the query.")

    def contradictions(self) -> Iterator[Contradiction]:
        try:
            parse_expectation(self.expect)
        except ValueError as error:
            yield Contradiction.of(error, ("expect",))


_MOST_DIGITS = 40


class SqlValue:
    """A query that the database refuses (its table is missing) is failed; a database that cannot be
    queried is not_run."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, SqlCheck)
        wanted = shorten(str(settings.expect))
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", wanted)]
        try:
            if settings.database is not None:
                inspector = inspector.database(settings.database)
            value = inspector.scalar(settings.query, timeout_s=settings.timeout)
        except DrdError as error:
            if isinstance(error, SourceError) and not isinstance(error, SourceUnreachable):
                words = f"the query failed: {error}"
                return [result(spec, CheckVerdict.FAILED, shorten(words), wanted)]
            return [not_run(spec, f"could not query: {error}", wanted)]
        expectation = parse_expectation(settings.expect)
        if isinstance(expectation, Recent) and context.data_time(settings.component) is None:
            return [replace(not_run(spec, _TIME_UNKNOWN, wanted), part=True)]
        judged = judge(expectation, value, _surroundings(spec, settings, context))
        row = result(spec, judged.verdict, judged.observed, judged.expected)
        return [replace(row, bound=judged.bound, figure=_figure(value))]


def _figure(value: Any) -> str | None:
    """Return the number to compare later drills with; None if it is none, is of more digits than
    any count or sum, or contains a secret.
    """
    amount = to_number(value)
    figure = "" if amount is None else str(amount)
    return figure if 0 < len(figure) <= _MOST_DIGITS and masked(figure) == figure else None


def _surroundings(spec: CheckSpec, settings: SqlCheck, context: CheckContext) -> Surroundings:
    snapshot = context.point.component(settings.component)
    at = context.data_time(settings.component) or context.point.data_time
    rpo_s = context.plan.rpo_of(settings.component)
    if not _needs_baseline(settings):
        return Surroundings(rpo_s, at)
    observations = snapshot.observations if snapshot else {}
    for known in (observations, context.last_observed):
        if known.get(spec.name) is not None:
            return Surroundings(rpo_s, at, baseline=known[spec.name])
    missing = (
        "there is no earlier answer to compare with: the backup did not query the source, and "
        "no earlier drill has passed"
    )
    return Surroundings(rpo_s, at, no_baseline=missing)


def _baseline(settings: SqlCheck) -> str | None:
    """Return the source's own answer, with which `within 10%` compares."""
    if not _needs_baseline(settings):
        return None
    if settings.database is None:
        return settings.query
    return DatabaseQuery.to(settings.database, settings.query)


def _needs(settings: SqlCheck) -> Ability | None:
    return Ability.DATABASES if settings.database is not None else None


def _refused(settings: SqlCheck, spec: KindSpec) -> Contradiction | None:
    """Other queries than SQL are the kind's own."""
    if Ability.SQL not in spec.can:
        return None
    why = changes(settings.query)
    if not why:
        return _of_another_type(settings)
    return Contradiction(
        ("query",),
        f"every drill refuses this query, because a check can only read: {why}",
        "give one SELECT, VALUES or TABLE; to write, use a step `sql` of the runbook.",
    )


_COUNTS = re.compile(
    r"\s*select\s+count\s*\([^()]*\)(?:\s+as\s+\w+)?\s*(?:;\s*|from\b.*)?",
    re.IGNORECASE | re.DOTALL,
)
_JOINS = re.compile(r"\b(?:union|intersect|except)\b", re.IGNORECASE)


def _of_another_type(settings: SqlCheck) -> Contradiction | None:
    """Return why a count, which is a number, can never be what is expected. Of other queries only
    the database knows the type."""
    if not _COUNTS.fullmatch(settings.query) or _JOINS.search(settings.query):
        return None
    expected = parse_expectation(settings.expect)
    is_text = (
        isinstance(expected, Comparison)
        and isinstance(expected.value, str)
        and to_number(expected.value) is None
    )
    if not is_text and not isinstance(expected, Recent):
        return None
    return Contradiction(
        ("expect",),
        f"the query gives a number, and `{settings.expect}` expects a "
        f"{'text' if is_text else 'time'}, so the check proves nothing",
        "write for example `>= 1`, or `within 10% of 5000`.",
    )


def _needs_baseline(settings: SqlCheck) -> bool:
    expectation = parse_expectation(settings.expect)
    return isinstance(expectation, Near) and expectation.of is None


def _by_hand(settings: SqlCheck, hand: ByHand | None) -> Passage | None:
    if hand is None or not hand.ask:
        return None
    expected = parse_expectation(settings.expect)
    there = "" if settings.database is None else f"{hand.database}={quote(settings.database)} "
    asks = f"{there}{hand.ask} {quote(settings.query)}\n"
    return Passage(f"must be {settings.expect}.", asks, judged=by_hand_words(expected))


def _fits(spec: KindSpec) -> bool:
    return spec.answers


SPEC = CheckKind(
    "sql",
    SqlCheck,
    SqlValue(),
    fits=_fits,
    baseline=_baseline,
    needs=_needs,
    refused=_refused,
    by_hand=_by_hand,
)
