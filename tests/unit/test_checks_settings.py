"""What a plan may write about each kind of check, and what each kind of check says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drd.checks import comparison
from drd.checks.command import SPEC as COMMAND
from drd.checks.command import CommandCheck
from drd.checks.files import SPEC as FILES
from drd.checks.files import FilesCheck
from drd.checks.rows import SPEC as ROWS
from drd.checks.rows import RowsCheck
from drd.checks.settings import CheckSettings
from drd.checks.sql import SPEC as SQL
from drd.checks.sql import SqlCheck
from drd.model.plan import CheckSpec, Component
from drd.registry import KINDS

LEAST: dict[type[CheckSettings], dict[str, Any]] = {
    CommandCheck: {"kind": "command", "name": "n", "run": ["x"]},
    FilesCheck: {"kind": "files", "name": "n", "component": "c"},
    RowsCheck: {"kind": "rows", "name": "n", "component": "c"},
    SqlCheck: {"kind": "sql", "name": "n", "component": "c", "query": "q", "expect": 1},
}


@pytest.mark.parametrize("of", LEAST)
def test_the_name_of_a_check_has_up_to_eighty_letters(of: type[CheckSettings]) -> None:
    for name in ("n", "n" * 80):
        assert of.model_validate({**LEAST[of], "name": name}).name == name
    for name in ("", "n" * 81):
        with pytest.raises(ValidationError, match="name"):
            of.model_validate({**LEAST[of], "name": name})


def test_a_command_has_a_minute_and_a_word() -> None:
    least = CommandCheck.model_validate(LEAST[CommandCheck])
    assert (least.timeout, least.component, least.run) == (60.0, None, ["x"])
    assert [*least.all_commands()] == [(("run",), ["x"])]
    with pytest.raises(ValidationError, match="run"):
        CommandCheck.model_validate({**LEAST[CommandCheck], "run": []})


def test_a_query_has_a_minute_and_a_letter() -> None:
    assert SqlCheck.model_validate(LEAST[SqlCheck]).timeout == 60.0
    with pytest.raises(ValidationError, match="query"):
        SqlCheck.model_validate({**LEAST[SqlCheck], "query": ""})


def test_rows_are_counted_in_five_minutes_and_without_a_tolerance() -> None:
    least = RowsCheck.model_validate(LEAST[RowsCheck])
    assert (least.budget, least.tolerance) == (300.0, 0)
    assert [*least.contradictions()] == []


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (RowsCheck.model_validate({**LEAST[RowsCheck], "tolerance": "many"}), "tolerance"),
        (SqlCheck.model_validate({**LEAST[SqlCheck], "expect": "> many"}), "expect"),
    ],
)
def test_a_malformed_setting_of_a_check_is_a_contradiction_at_its_key(
    settings: RowsCheck | SqlCheck, key: str
) -> None:
    [found] = settings.contradictions()
    assert found.path == (key,)


def test_kinds_of_checks_say_what_they_are_for() -> None:
    assert [kind.compares for kind in (COMMAND, SQL, ROWS, FILES)] == [False, False, True, True]
    assert [kind.reads_as_root for kind in (COMMAND, SQL, ROWS, FILES)] == [
        True,
        False,
        False,
        False,
    ]
    assert [k.name for k in (COMMAND, SQL, ROWS, FILES) if k.runs_programs] == ["command"]
    fits = {
        kind.name: [name for name in ("postgres", "sqlite", "files") if kind.fits(KINDS[name])]
        for kind in (SQL, ROWS, FILES)
    }
    assert fits == {
        "sql": ["postgres", "sqlite"],
        "rows": ["postgres", "sqlite"],
        "files": ["files"],
    }


def test_each_kind_of_component_is_compared_by_its_own_check() -> None:
    for kind, check in (("postgres", "rows"), ("sqlite", "rows"), ("files", "files")):
        found = comparison(Component("it", kind, None), "as before")
        assert found is not None
        assert found == CheckSpec("as before", check, "it", found.settings)
        assert isinstance(found.settings, CheckSettings)
        assert (found.settings.kind, found.settings.component) == (check, "it")
