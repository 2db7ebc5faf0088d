"""The query of a `sql` check is text, also of a plan that came out of a repository: it reads the
database it is asked of, and does nothing else. In a read-only transaction PostgreSQL still runs a
program for COPY, and on a read-only connection SQLite still writes other files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drd.errors import SourceError
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.sqlite.inspector import SqliteInspector
from drd.model.plan import SecretRef
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Site, small_site
from tests.security.forging import add_text, own_tar, store_own
from tests.servers import PostgresServer

# --- SQLite -------------------------------------------------------------------------------------

_TABLES = """
create table t (a, at text);
insert into t values (1, '2026-01-01'), (2, '2026-01-02');
create view v as select count(*) as n from t;
create virtual table words using fts5 (x);
insert into words values ('one two');
create virtual table older using fts4 (x);
insert into older values ('one two');
create virtual table places using rtree (id, a, b);
insert into places values (1, 2, 3);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_TABLES)
    return path


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("VACUUM INTO '{out}'", "ATTACH or VACUUM"),
        ("vacuum", "ATTACH or VACUUM"),
        ("/* */ ATTACH '{out}' AS x", "ATTACH or VACUUM"),
        ("PRAGMA journal_mode = wal", "PRAGMA journal_mode with a value"),
        ("PRAGMA temp_store_directory = '{directory}'", "PRAGMA temp_store_directory"),
        ("PRAGMA writable_schema", "PRAGMA writable_schema"),
        ("insert into t values (3, '') returning a", "readonly"),
        ("with x as (select 1) delete from t", "readonly"),
        ("update t set a = 1", "readonly"),
        ("create temp table x (a)", "a change of tables"),
        ("drop table t", "a change of tables"),
        ("begin", "a transaction"),
        ("select load_extension('{out}')", "load_extension()"),
    ],
)
def test_a_query_of_a_file_writes_nothing(file: Path, query: str, named: str) -> None:
    before = file.read_bytes()
    out = file.parent / "written"
    with pytest.raises(SourceError, match="is not read-only") as caught:
        SqliteInspector(file).scalar(query.format(out=out, directory=file.parent))
    assert named in caught.value.message
    assert "can only read" in caught.value.hint
    assert [p.name for p in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("select count(*) from t", 2),
        (" select max(at) from t; ", "2026-01-02"),
        (("with recursive s(n) as (select 1 union select n + 1 from s where n < 9) select max(n) "
         "from s"), 9),
        ("values (7)", 7),
        ("select n from v -- all of them", 2),
        ("select count(*) from words where words match 'two'", 1),
        ("select count(*) from older where older match 'two'", 1),
        ("select count(*) from places where a > 1", 1),
        ("select sum(value) from json_each('[1, 2]')", 3),
        ("pragma integrity_check", "ok"),
        ("select integrity_check from pragma_integrity_check('t')", "ok"),
        ("select count(*) from pragma_table_info('t')", 2),
        ("pragma user_version", 0),
        ("select max(a) over () from t limit 1", 2),
    ],
)  # fmt: skip
def test_healthy_twin_reading_queries_are_answered(file: Path, query: str, value: object) -> None:
    assert SqliteInspector(file).scalar(query) == value


def test_the_source_is_asked_the_same_way(short_tmp: Path) -> None:
    """Observations are asked at each backup."""
    site = small_site(short_tmp)
    mark = short_tmp / "written"
    (site.base / "plans/shop.yaml").write_text(_observing(site, f"vacuum into '{mark}'"))
    site.drd("backup", "shop")
    assert not mark.exists()


def _observing(site: Site, query: str) -> str:
    text = (site.base / "plans/shop.yaml").read_text()
    more = (
        "checks:\n  - "
        f'{{name: many, kind: sql, component: db, query: "{query}", expect: within 10%}}\n'
    )
    assert text.count("checks:\n") == 1
    return text.replace("checks:\n", more)


# --- PostgreSQL -----------------------------------------------------------------------------------


def open_to_all(directory: Path) -> Path:
    """Where the server's user could write."""
    place = directory / "open"
    place.mkdir()
    place.chmod(0o777)
    return place


@pytest.fixture
def ask(postgres: PostgresServer) -> Iterator[Callable[[str], Any]]:
    name = f"check_queries_{os.getpid()}"
    postgres.execute(f"create database {name}")
    postgres.execute("create table t as select generate_series(1, 2) as a", name)
    inspector = PostgresInspector(address_of(SecretRef("text", postgres.dsn(name))))
    yield inspector.scalar
    inspector.close()


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to program 'id > {out}'",
        "/* select */ copy (select 1) to '{out}'",
        "select 1; copy (select 1) to program 'id > {out}'",
        "select 1; commit; create table made (a int)",
        "select 1) to program 'id > {out}'",
        "show port; copy (select 1) to program 'id > {out}'",
        "show\nport;\ncopy (select 1) to program 'id > {out}'",
        "do $$ begin execute 'copy (select 1) to program ''id > {out}'''; end $$",
        "commit",
        "set default_transaction_read_only = off",
        "explain analyze select 1",
        "insert into t values (3) returning a",
        "with x as (insert into t values (3) returning a) select a from x",
        "select a into made from t",
        "create table made as select 1",
        "declare c cursor for select 1",
        "execute something",
        "-- nothing",
    ],
)
def test_a_query_of_a_server_is_one_select(
    ask: Callable[[str], Any], short_tmp: Path, query: str
) -> None:
    out = open_to_all(short_tmp) / "written"
    with pytest.raises(SourceError, match="is not one SELECT") as caught:
        ask(query.format(out=out))
    assert "can only read" in caught.value.hint
    assert not out.exists()
    assert ask("select count(*) from t") == 2
    assert ask("select to_regclass('made')") is None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("select count(*) from t", 2),
        ("select count(*) from t where a::text like '%2%'; -- all of them", 1),
        ("-- first\n/* and */ select max(a) from t", 2),
        ("with x as (select a from t) select max(a) from x;", 2),
        ("(select 1) union (select 1)", 1),
        ("values (7)", 7),
        ("table t limit 0", None),
        ("table t order by a limit 1", 1),
        ("show port_of_nobody.at_all", None),
        ("SHOW transaction_read_only;", "on"),
        ("select a from t order by a desc limit 1", 2),
    ],
)
def test_healthy_twin_selecting_queries_are_answered(
    ask: Callable[[str], Any], query: str, value: object
) -> None:
    for _ in range(7):  # more often than psycopg waits before it prepares a statement
        if value is None:
            with pytest.raises(SourceError) as caught:
                ask(query)
            assert "not one SELECT" not in caught.value.message
        else:
            assert ask(query) == value


# --- out of a repository
# ----------------------------------------------------------------------------

_SERVERS = """
components:
  db: {{kind: postgres, dsn: {dsn}}}
checks:
  - {{name: many, kind: sql, component: db, query: "{query}", expect: within 10%}}
drill: {{every: 7d}}
"""


def put_in(site: Site, text: str) -> Machine:
    """A new host for whose plan somebody stored this text."""
    store_own(site, own_tar(lambda tar: add_text(tar, "./etc/shop.yaml", text)))
    (site.base / "password").write_text(PASSWORD)
    return Machine(site.base / "root")


def words(site: Site, machine: Machine) -> list[str]:
    return [
        "bootstrap", "--repository", site.repository, "--password-file",
        str(site.base / "password"), "--root", str(machine.root),
    ]  # fmt: skip


@pytest.mark.parametrize("attack", [True, False])
def test_a_stored_query_of_a_file_has_a_recovery_write_nothing_else(
    short_tmp: Path, attack: bool
) -> None:
    site = small_site(short_tmp)
    site.drd("backup", "shop")
    mark = short_tmp / "written"
    query = f"VACUUM INTO '{mark}'" if attack else "select count(*) from orders"
    machine = put_in(site, _observing(site, query))
    machine.drd(*words(site, machine))
    told = machine.after("recover", "shop", "--target", "standby", "--yes", code=None)
    assert not mark.exists()
    assert ("is not read-only: ATTACH" in told.out + told.err) is attack


def test_a_stored_query_of_a_server_is_accepted_first_and_runs_no_command(
    short_tmp: Path, postgres: PostgresServer
) -> None:
    mark = open_to_all(short_tmp) / "ran"
    name = f"stored_query_{os.getpid()}"
    postgres.execute(f"create database {name}")
    postgres.execute("create table orders as select 1 as id", name)
    site = Site(short_tmp)
    honest = _SERVERS.format(dsn=postgres.dsn(name), query="select count(*) from orders")
    site.plan(honest)
    site.drd("backup", "shop")
    whole = (site.base / "plans/shop.yaml").read_text()
    evil = whole.replace("select count(*) from orders", f"copy (select 1) to program 'id > {mark}'")
    assert evil != whole
    machine = put_in(site, evil)
    told = machine.drd(*words(site, machine), code=2)
    assert "! checks.0.query" in told.err
    assert not machine.root.exists()
    machine.drd(*words(site, machine), "--accept-commands")
    machine.after("backup", "shop")
    assert not mark.exists()
