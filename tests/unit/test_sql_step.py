"""A step `sql` works in the database that it names, of a component that has several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.actions.sql import SPEC, LiveSqlSettings, SqlSettings
from drd.model.runbook import Step


class _Inspector:
    """Notes in which database which statements were executed."""

    def __init__(self, name: str, executed: list[tuple[str, str]]) -> None:
        self._name = name
        self._executed = executed

    def database(self, name: str) -> _Inspector:
        return _Inspector(name, self._executed)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        assert timeout_s > 0
        self._executed.append((self._name, statements))
        return 3


@pytest.mark.parametrize(("database", "there"), [(None, "of dsn"), ("billing", "billing")])
def test_statements_are_executed_in_the_database_that_the_step_names(
    database: str | None, there: str
) -> None:
    executed: list[tuple[str, str]] = []
    settings = SqlSettings(component="server", database=database, query="delete from t")
    step = Step(name="clean", kind="sql", settings=settings, subjects=("server",))
    inspectors = {"server": _Inspector("of dsn", executed)}
    context = SimpleNamespace(step=step, inspectors=inspectors.__getitem__, value=str)
    assert SPEC.action.run(cast(Any, context)) == {"rows": 3}
    assert executed == [(there, "delete from t")]


def test_the_page_and_the_words_name_the_database() -> None:
    settings = SqlSettings(component="server", database="my shop", query="delete from t")
    assert SPEC.in_words(settings) == "in my shop of server: delete from t"
    hand = SimpleNamespace(
        component=lambda _: SimpleNamespace(change="psql -c"), word=lambda text: f"'{text}'"
    )
    [line] = SPEC.by_hand(settings, cast(Any, hand))
    assert line == "PGDATABASE='my shop' psql -c 'begin; delete from t; commit'"


def test_a_playbook_names_no_database() -> None:
    settings = LiveSqlSettings(component="db", database="shop", query="select 1")
    [found] = settings.contradictions()
    assert found.path == ("database",)
    assert not list(LiveSqlSettings(component="db", query="select 1").contradictions())
