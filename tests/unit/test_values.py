"""`${…}` in SQL: always a string, never more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.actions import action_for
from drd.actions.sql import SqlSettings
from drd.errors import StepFailed
from drd.model.runbook import Step
from drd.model.values import filled, pieces, references, within_quotes
from drd.ports.action import ActionContext


def test_references_are_named_and_doubled_dollars_are_none() -> None:
    text = "a ${point} $${x} ${ target.db.path }${b} $c {d} ${e{f}}"
    assert references(text) == ["point", "target.db.path", "b"]
    assert references("$${a}") == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("plain", [(False, "plain")]),
        ("${a}", [(True, "a")]),
        ("x ${ a } y", [(False, "x "), (True, "a"), (False, " y")]),
        ("${a}${b}", [(True, "a"), (True, "b")]),
        ("$${a} ${b}", [(False, "${a} "), (True, "b")]),
        ("${b} $${a}", [(True, "b"), (False, " ${a}")]),
    ],
)
def test_a_text_is_split_into_references_and_the_rest(
    text: str, parts: list[tuple[bool, str]]
) -> None:
    assert pieces(text) == parts


def test_references_are_replaced_once() -> None:
    values = {"a": "${b}", "b": "no"}
    assert filled("x ${a} ${ b } $${a}", values.__getitem__) == "x ${b} no ${a}"


@pytest.mark.parametrize(
    ("sql", "quoted"),
    [
        ("select ${point}", "select '${point}'"),
        ("select 'at ${point}', ${run}", "select 'at ${point}', '${run}'"),
        ("select 'it''s ${point}' -- don't", "select 'it''s ${point}' -- don't"),
        ('select "a ""b\'" = ${run} /* it\'s */', "select \"a \"\"b'\" = '${run}' /* it's */"),
        ("do $x$ it's $x$; select ${run}", "do $x$ it's $x$; select '${run}'"),
        ("select $${x}, ${run}", "select $${x}, '${run}'"),
        ("select 'unclosed", "select 'unclosed"),
        ("select E'it\\'s', ${a}", "select E'it\\'s', '${a}'"),
        ("select /* one\ntwo's */ ${a}", "select /* one\ntwo's */ '${a}'"),
        ("do $x$ a\nb $x$; select ${a}", "do $x$ a\nb $x$; select '${a}'"),
        ("select 1 -- it's\n, ${a}", "select 1 -- it's\n, '${a}'"),
    ],
)
def test_a_value_stands_in_a_string(sql: str, quoted: str) -> None:
    assert within_quotes(sql) == quoted


@pytest.mark.parametrize(
    "sql",
    [
        'select "${run}"',
        "select 1 -- ${run}",
        "select E'${run}'",
        "$$ ${run} $$",
        "select 'x ${run}",
        'select ${run}, "x',
        "select /* ${run} */ 1",
        "$x$ ${run} $x$",
    ],
)
def test_values_outside_strings_are_refused(sql: str) -> None:
    with pytest.raises(ValueError, match=r"a (value is allowed|quote)"):
        within_quotes(sql)


def carried_out(query: str, value: str) -> str:
    told: list[str] = []

    def execute(statements: str, **_: Any) -> int:
        told.append(statements)
        return 0

    context = ActionContext(
        step=Step("s", "sql", settings=SqlSettings(component="db", query=query)),
        key="run/s",
        value=lambda _: value,
        environment={},
        inspectors=lambda _: SimpleNamespace(execute=execute),
        directory=Path("/"),
        stays=True,
    )
    action_for("sql").run(context)
    return told[0]


def test_statements_get_values_as_strings() -> None:
    assert carried_out("select ${run}, 'a ${run}'", "x'; y") == "select 'x''; y', 'a x''; y'"
    with pytest.raises(StepFailed, match="contains a backslash"):
        carried_out("select ${run}", "\\'; drop table t; --")
