"""`drd plan check` and `drd doctor` report a query of a `sql` check that clearly does not only
read; the plan is loaded all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drd.checks.reading import changes
from drd.cli.main import main
from drd.flows.host.refused_checks import refused_checks
from tests.config_support import GOOD, load, write_plan

READS = (
    "select 1",
    "SELECT count(*) FROM beers;",
    "  select 1 ; ",
    "-- how many\nselect count(*) from beers -- delete from beers",
    "/* delete from beers */ (select 1)",
    "/* a /* delete from */ comment */ select 1",
    "/* a /* nested */ delete from beers */ select 1",
    "# beers\nselect 1",
    "((select 1) union (select 2)) limit 1",
    "(\n -- why\n values (1))",
    "table beers",
    "show server_version",
    "pragma user_version",
    "explain select 1",
    "with a as (select 1) select * from a",
    "with recursive a(n) as (select 1 union all select n + 1 from a) select max(n) from a",
    'with a as not materialized (select 1), "delete" (x, y) as (values (1, 2)) table a',
    "with a as (select 1) select count(delete) update from a",
    "select 'it''s; delete from beers'",
    'select "a;b", `c;d`, [e;f] from beers',
    "select a['x]y;z'] from beers",
    r"select E'\'; delete from beers'",
    "select $$ ; delete from beers $$",
    "select $a$ ; $a$",
    "select 1 /*! ; */",
    "select 1 --; 2",
    "select delete, update, insert from beers",
    "select replace(name, 'a', 'b') from beers",
    '"delete" from beers',
    "selct 1",
    "call brewed()",
    "-- nothing",
)

CHANGES = {
    "delete from beers": "it begins with DELETE",
    "-- select\n  delete from beers": "it begins with DELETE",
    "/* select */ (DELETE from beers)": "it begins with DELETE",
    "update beers set n = 1": "it begins with UPDATE",
    "copy beers to program 'id'": "it begins with COPY",
    "vacuum into '/tmp/x'": "it begins with VACUUM",
    "attach 'x' as y": "it begins with ATTACH",
    "select 1; delete from beers": "it has a second statement",
    "with a as (select 1) delete from beers": "its WITH leads to DELETE",
    "with a as (delete from beers returning 1) select * from a": "its WITH leads to DELETE",
    "with a as (select (1)), b(n) as materialized (update beers set n = 1 returning n) table b": (
        "its WITH leads to UPDATE"
    ),
}


@pytest.mark.parametrize("query", READS)
def test_nothing_is_said_of_a_query_that_may_read(query: str) -> None:
    assert changes(query) == ""


@pytest.mark.parametrize(("query", "why"), CHANGES.items())
def test_a_query_that_changes_is_named(query: str, why: str) -> None:
    assert changes(query) == why


CHECK = '{name: beers, kind: sql, component: COMPONENT, query: QUERY, expect: "> 0"}'


def _with(component: str, query: str) -> str:
    check = CHECK.replace("COMPONENT", component).replace("QUERY", json.dumps(query))
    return GOOD.replace("checks:\n", f"checks:\n  - {check}\n")


MESSAGE = "every drill refuses this query, because a check can only read: it begins with DELETE"
HINT = "give one SELECT, VALUES or TABLE; to write, use a step `sql` of the runbook."


@pytest.mark.parametrize("component", ["db", "store"])
def test_plan_check_names_the_line_and_the_remedy_and_does_not_say_ok(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    component: str,
) -> None:
    text = _with(component, "delete from beers")
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(f"state: sqlite:///{tmp_path}/drd.db\n")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    path = write_plan(tmp_path / "plans", text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "delete from" in row)
    assert main(["plan", "check"]) == 2
    assert capsys.readouterr().out == f"{path}:{line}: checks[0].query: {MESSAGE}\nHINT: {HINT}\n"
    assert main(["plan", "check", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["warnings"]) == (False, [])
    assert told["problems"] == [
        {
            "code": "check-query",
            "file": str(path),
            "line": line,
            "path": "checks[0].query",
            "message": MESSAGE,
            "hint": HINT,
        }
    ]


def test_such_a_plan_is_loaded_and_doctor_reports_the_check(tmp_path: Path) -> None:
    loaded = load(tmp_path, _with("db", "delete from beers"))
    assert loaded.warnings == []
    (found,) = refused_checks(loaded.plan)
    assert (found.code, found.severity, found.subject) == ("check-query", "error", "beers")
    assert found.text == MESSAGE
    assert found.remedy == f"correct the check in {loaded.plan.file}: {HINT}"


@pytest.mark.parametrize("query", READS)
def test_plans_that_may_read_are_sound(tmp_path: Path, query: str) -> None:
    loaded = load(tmp_path, _with("db", query))
    assert (loaded.faults, refused_checks(loaded.plan)) == ((), [])


def test_a_query_that_is_no_sql_is_not_read_as_sql(tmp_path: Path) -> None:
    redis = "  carts: {kind: redis, url: redis://127.0.0.1:6379}\n"
    text = _with("carts", "set x 1; get x").replace("components:\n", f"components:\n{redis}")
    assert load(tmp_path, text).faults == ()


@pytest.mark.parametrize(
    ("query", "expect", "what"),
    [
        ("select count(*) from beers", "about 20000", "text"),
        ("SELECT COUNT( distinct name ) AS n\nFROM beers WHERE x = (select 1)", "!= none", "text"),
        ("select count(*) from beers;", "within rpo", "time"),
        ("select count(*)", "true", "text"),
        ("select count(*) from beers", ">= 1", ""),
        ("select count(*) from beers", "within 10%", ""),
        ("select count(*) from beers", "!= null", ""),
        ("select count(*) from beers", "'5'", ""),
        ("select count(*)::text from beers", "about 20000", ""),
        ("select count(*) || ' beers' from beers", "9 beers", ""),
        ("select count(*) from beers union select 'x'", "x", ""),
        ("select name from beers", "about 20000", ""),
        ("select max(at) from beers", "within rpo", ""),
    ],
)
def test_a_count_that_is_to_be_a_text_or_a_time_is_named_by_plan_check(
    tmp_path: Path, query: str, expect: str, what: str
) -> None:
    text = _with("db", query).replace('expect: "> 0"', f"expect: {json.dumps(expect)}")
    assert json.dumps(expect) in text
    loaded = load(tmp_path, text)
    found = [(fault.code, str(fault.message)) for fault in loaded.faults]
    message = (
        f"the query gives a number, and `{expect}` expects a {what}, so the check proves nothing"
    )
    assert found == ([("check-query", message)] if what else [])
    if what:
        assert loaded.faults[0].path == "checks[0].expect"
