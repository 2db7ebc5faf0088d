"""A SQLite file that was made to break out: a view that loads an extension, reads and writes files,
or attaches production. Only a process behind a fence opens it in a drill, so that even one who
breaks SQLite itself has nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from drd import process
from drd.errors import DrdError
from drd.kinds.sqlite.reader import SqliteReader, reads
from drd.process import Fences
from tests.e2e.site import Site
from tests.fence_support import fences, own_directory

pytestmark = fences

_PLAN = """
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
checks:
  - {{name: orders, kind: sql, component: db, query: "{query}", expect: "> 0"}}
  - {{name: rows, kind: rows, component: db}}
runbook:
  - {{restore: all}}
  - {{name: attach, sql: {{component: db, query: "{statement}"}}, on_failure: continue}}
  - {{check: all}}
drill: {{every: 7d}}
"""


def hostile(path: Path, secret: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(f"""
            create table orders (id integer primary key, note text);
            insert into orders values (1, 'a'), (2, 'b');
            create view calls as select load_extension('{secret.parent}/evil.so') as x;
            create view files as select readfile('{secret}') as x;
            create view writes as select writefile('{secret.parent}/loot', 'x') as x;
            create trigger steals after insert on orders begin
              select load_extension('{secret.parent}/evil.so'); end;
        """)


@pytest.fixture
def outside(short_tmp: Path) -> Path:
    place = short_tmp / "outside"
    place.mkdir()
    place.chmod(0o777)
    with sqlite3.connect(place / "production.db") as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (1)")
    connection.close()
    (place / "production.db").chmod(0o666)
    return place


def drilled(site: Site, query: str, statement: str) -> dict[str, object]:
    site.plan(_PLAN.format(base=site.base, query=query, statement=statement))
    site.drd("backup", "shop")
    return site.drd("drill", "shop", "--json", code=None).json


def test_a_database_file_of_a_drill_cannot_access_anything(short_tmp: Path, outside: Path) -> None:
    site = Site(short_tmp / "site")
    hostile(site.base / "shop.db", outside / "production.db")
    attach = f"attach '{outside}/production.db' as p; delete from p.kept; detach p"
    told = drilled(site, "select count(*) from calls", attach)
    checks = {c["name"]: c for c in told["checks"]}  # type: ignore[attr-defined]
    assert checks["orders"]["verdict"] != "passed"
    assert checks["rows"]["verdict"] == "passed"
    with sqlite3.connect(outside / "production.db") as connection:
        assert connection.execute("select n from kept").fetchall() == [(1,)]
    assert sorted(p.name for p in outside.iterdir()) == ["production.db"]
    assert told["fence"]["fenced"] == ["db.sqlite"]  # type: ignore[index]


def test_sound_file_is_asked_and_changed_as_ever(short_tmp: Path, outside: Path) -> None:
    site = Site(short_tmp / "site")
    hostile(site.base / "shop.db", outside / "production.db")
    with sqlite3.connect(site.base / "shop.db") as connection:
        connection.executescript(
            "drop trigger steals; drop view calls; drop view files; drop view writes"
        )
    told = drilled(site, "select count(*) from orders", "update orders set note = 'c' where id = 1")
    assert told["result"] == "passed", told


_SUBVERTED = """
import json, os, sys
for line in sys.stdin:
    try: open({secret!r}).read(); got = 'read'
    except OSError as error: got = str(error)
    try: os.kill(os.getppid(), 9); got += ' killed'
    except OSError: pass
    print({answer!r} if {answer!r} else json.dumps({{'value': got}}), flush=True)
"""


@pytest.mark.parametrize(
    "answer",
    [
        "[]", "null", "{", '{"value": {"tables": 1}}', '{"value": []}', '{"error": "X"}', "\u0000",
        "[" * 5_000,
    ],
    ids=["list", "null", "cut", "shape", "empty", "error", "zero", "deep"],
)  # fmt: skip
def test_answers_of_a_subverted_reader_are_not_believed(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _SUBVERTED.format(secret="/etc/shadow", answer=answer)
    with own_directory() as own:
        box = Fences()
        reader = SqliteReader(box.fence("db", [own], reads=reads()))
        monkeypatch.setattr("drd.kinds.sqlite.reader._BOOT", script)
        try:
            with pytest.raises(DrdError):
                reader.fingerprint(own / "x", digests=False, budget_s=1)
        finally:
            reader.close()
            box.close()


def test_a_subverted_reader_has_no_access(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_directory() as own:
        secret = own.parent / "secret"
        secret.write_text("key")
        box = Fences()
        reader = SqliteReader(box.fence("db", [own], reads=reads()))
        script = _SUBVERTED.format(secret=str(secret), answer="")
        monkeypatch.setattr("drd.kinds.sqlite.reader._BOOT", script)
        try:
            said = reader.scalar(own / "x", "select 1", timeout_s=5)
        finally:
            reader.close()
            box.close()
            secret.unlink()
        assert "Permission denied" in said
        assert "killed" not in said


def test_reader_that_dies_is_an_error_and_the_next_question_starts_another() -> None:
    with own_directory() as own:
        with sqlite3.connect(own / "x.db") as connection:
            connection.execute("create table t (n int)")
        connection.close()
        box = Fences()
        reader = SqliteReader(box.fence("db", [own], reads=reads()))
        try:
            assert reader.scalar(own / "x.db", "select 7", timeout_s=20) == 7
            assert reader._child is not None
            process.fence.end_fenced(reader._child.pid)
            with pytest.raises(DrdError):
                reader.scalar(own / "x.db", "select 8", timeout_s=20)
            assert reader.scalar(own / "x.db", "select 9", timeout_s=20) == 9
        finally:
            reader.close()
            box.close()
