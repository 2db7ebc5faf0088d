"""The step `sql`: statements in a restored database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from drd.actions.command import missing_rollback
from drd.actions.settings import Rehearsed, Text
from drd.errors import SourceError, StepFailed
from drd.fields import Contradiction
from drd.model.runbook import Step
from drd.model.values import filled, within_quotes
from drd.ports import Finding
from drd.ports.action import WHOLE, ActionContext, ActionKind, StepByHand
from drd.ports.kinds import Ability

TIMEOUT_S = 300.0


class SqlSettings(Rehearsed):
    """Statements in a restored database, in one transaction: all of them are executed, or none."""

    unsaid: ClassVar = {"database": (None,)}

    component: str = Field(description="The database.")
    database: str | None = Field(
        None,
        min_length=1,
        description="The database for the statements, for a component that has several "
        "(`postgres-cluster`). Default: the one in its `dsn`.",
    )
    query: str = Field(
        min_length=1,
        description="The SQL statements. drd commits their changes after the last one. drd writes "
        "a value such as `${point}` as a quoted SQL string: `${point}` and `'${point}'` are the "
        "same.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        try:
            within_quotes(self.query)
        except ValueError as error:
            hint = (
                "write the value without quotes, for example `where name = ${plan}`. For a text "
                "that drd must not replace, write `$${…}`."
            )
            yield Contradiction(("query",), str(error), hint)

    def all_texts(self) -> Iterator[Text]:
        yield ("query",), self.query


class LiveSqlSettings(SqlSettings):
    """SQL in the live database of a plan."""

    writes: bool = Field(
        False,
        description="If true, the statements may change data; then a step `approve` must come "
        "before this step. If false, drd only reads a single value.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from super().contradictions()
        if self.database is not None:
            hint = "remove it: a playbook uses the database in `dsn` of the component."
            yield Contradiction(("database",), "is not allowed in a playbook", hint)


class Statements:
    """All statements are one transaction: if drd dies before its end, nothing has changed. If drd
    dies between the commit and its own note, the statements are executed again."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, SqlSettings)
        inspector = context.inspectors(settings.component)
        if settings.database is not None:
            inspector = inspector.database(settings.database)
        timeout_s = context.step.timeout_s or TIMEOUT_S
        reads = isinstance(settings, LiveSqlSettings) and not settings.writes
        try:
            if reads:
                query = _statements(settings.query, context)
                value = inspector.scalar(query, timeout_s=timeout_s)
                context.keep(WHOLE, "" if value is None else str(value))
                return {}
            rows = inspector.execute(_statements(settings.query, context), timeout_s=timeout_s)
        except SourceError as error:
            raise StepFailed(f"{settings.component}: {error.message}", hint=error.hint) from error
        return {"rows": rows}


def _statements(query: str, context: ActionContext) -> str:
    """Fill in the values: each is a string of SQL, whatever is in it."""

    def value(name: str) -> str:
        text = context.value(name)
        if "\\" in text or "\0" in text:
            raise StepFailed(
                f"drd did not execute the SQL of this step: the value of ${{{name}}} contains a "
                "backslash or a zero byte",
                hint="use a step `command` instead of `sql`, and pass the value to the "
                "command in its environment (`env`).",
            )
        return text.replace("'", "''")

    return filled(within_quotes(query), value)


def _in_words(sql: SqlSettings) -> str:
    where = sql.component if sql.database is None else f"{sql.database} of {sql.component}"
    return f"in {where}: {' '.join(sql.query.split())}"


def _by_hand(sql: SqlSettings, hand: StepByHand) -> Iterator[str]:
    component = hand.component(sql.component)
    if component is not None and component.change:
        whole = "begin; " + within_quotes(sql.query).strip().rstrip(";") + "; commit"
        there = f"PGDATABASE={quote(sql.database)} " if sql.database is not None else ""
        yield f"{there}{component.change} {hand.word(whole)}"


SPEC = ActionKind(
    "sql",
    SqlSettings,
    Statements(),
    summary="Run SQL in a restored database.",
    about="The component and the SQL.",
    gives=("rows",),
    answer="value",
    fits=lambda kind: Ability.SQL in kind.can,
    needs=lambda sql: Ability.DATABASES if sql.database is not None else None,
    frees_ports=False,
    in_words=_in_words,
    by_hand=_by_hand,
)
