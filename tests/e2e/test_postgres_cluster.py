"""A whole PostgreSQL server from backup to recovery: all that it has comes back, and nothing of it
reaches out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.model.units import from_rfc3339
from tests.e2e.site import Site
from tests.servers import PostgresServer, postgres_server, short_directory

PLAN = """
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}", data_dir: {data}}}
targets:
  standby: {{server: {{data_dir: {back}}}}}
checks:
  - {{name: rows as at backup, kind: rows, component: server}}
  - {{name: orders, kind: sql, component: server, query: select count(*) from orders, expect: 300}}
  - {{name: people, kind: sql, component: server, database: 'the people',
     query: select sum(n) from people, expect: within 1%}}
"""

SHOP = """
create table orders tablespace fast as select g as n from generate_series(1, 300) g;
create unlogged table carts as select 1 as n;
create view views as select * from orders;
select lo_from_bytea(4711, 'a large object');
create extension if not exists pgcrypto;
create server elsewhere foreign data wrapper far;
"""

HOSTILE = """
alter system set archive_command = 'pwd >> {trace}';
alter system set archive_mode = 'on';
alter system set restore_command = 'pwd >> {trace}; false';
alter system set primary_conninfo = 'host=127.0.0.1 port=9';
alter system set session_preload_libraries = 'auto_explain';
alter system set max_prepared_transactions = 5;
alter system set wal_level = logical;
alter system set summarize_wal = on;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        _fill(server)
        yield server


def _fill(server: PostgresServer) -> None:
    for line in HOSTILE.format(trace=server.directory / "trace").strip().splitlines():
        server.execute(line)
    server.stop()
    server.start()
    (server.directory / "fast").mkdir()
    owner = server.data_dir.stat()
    os.chown(server.directory / "fast", owner.st_uid, owner.st_gid)
    server.execute(f"create tablespace fast location '{server.directory}/fast'")
    server.execute("create role clerk login password 'secret'")
    server.execute("alter role clerk set work_mem = '7MB'")
    server.execute('create database "the people" owner clerk')
    server.execute("create database shop")
    server.execute("alter database \"the people\" set timezone = 'Asia/Tokyo'")
    server.execute("create foreign data wrapper far", "shop")
    server.execute(SHOP, "shop")
    server.execute("create table people as select generate_series(1, 9) as n", "the people")
    server.execute("select pg_create_physical_replication_slot('kept', true)")
    server.execute("begin; create table half (n int); prepare transaction 'half done'", "shop")


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    back = short_tmp / "back"
    back.mkdir()
    owner = server.data_dir.stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    dsn = server.dsn("shop")
    site.plan(PLAN.format(dsn=dsn, data=server.data_dir, back=back / "main"))
    return site


class Started:
    """A server that a person starts on a restored data directory."""

    def __init__(self, like: PostgresServer, data: Path) -> None:
        self._server = PostgresServer(like.directory)
        self._server.data_dir = data

    def __enter__(self) -> PostgresServer:
        self._server.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def _ask(server: PostgresServer, sql: str, database: str = "shop") -> list[object]:
    return [value for (value,) in server.execute(sql, database)]


def test_everything_of_a_server_comes_back_in_an_empty_directory(
    server: PostgresServer, site: Site, short_tmp: Path
) -> None:
    doctor = " ".join(site.drd("doctor", "shop").out.split())
    assert "the server accepts connections for replication" in doctor
    made = site.drd("backup", "shop", "--json").json["components"][0]
    assert made["bytes"] > 30 << 20
    assert "backups copy only what has changed" in doctor
    assert made["made"].startswith("full copy, because it is the first")
    first = site.drd("points", "shop", "--json").json["points"][0]["point"]
    second = site.drd("backup", "shop", "--json").json
    again = second["components"][0]
    assert again["made"] == f"incremental copy 1 after the full copy of {first}"
    assert again["added_bytes"] < made["bytes"] / 10
    # The second restore point needs nothing of the first one.
    site.drd("points", "forget", first, "--reason", "it is old", "--force", "--yes")
    site.drd("prune", "shop")
    assert "complete, incremental: server" in site.drd("points", "shop").out
    server.execute("drop table people", "the people")  # the drill has what the backup has
    drilled = " ".join(site.drd("drill", "shop").out.split())
    assert "0 differ" in drilled
    assert "an unlogged table" in drilled
    assert "auto_explain" in drilled
    assert f"incremental copy 1 after the full copy of {first}" in drilled
    _assert_nothing_reached_out(server)
    server.execute("create table people as select generate_series(1, 9) as n", "the people")
    back = short_tmp / "back" / "main"
    site.drd("recover", "shop", "--target", "standby", "--yes")
    server.stop()
    try:
        with Started(server, back) as restored:
            _assert_as_it_was(restored)
            _assert_nothing_reached_out(server)
    finally:
        server.start()
    assert [p.name for p in back.parent.iterdir()] == ["main"]
    site.assert_clean()


def _assert_nothing_reached_out(server: PostgresServer) -> None:
    """Only the source itself has archived anything."""
    trace = server.directory / "trace"
    assert set(trace.read_text().split()) <= {str(server.data_dir)}


def _assert_as_it_was(restored: PostgresServer) -> None:
    assert _ask(restored, "select count(*) from orders") == [300]
    assert _ask(restored, "select count(*) from carts") == [0]
    assert _ask(restored, "select lo_get(4711)") == [b"a large object"]
    assert _ask(restored, "select gid from pg_prepared_xacts") == ["half done"]
    assert _ask(restored, "select sum(n) from people", "the people") == [45]
    assert _ask(restored, "show timezone", "the people") == ["Asia/Tokyo"]
    settings = "select unnest(rolconfig) from pg_roles where rolname = 'clerk'"
    assert _ask(restored, settings) == ["work_mem=7MB"]
    place = "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'"
    (there,) = _ask(restored, place)
    assert str(there).startswith(f"{restored.data_dir}/drd_tablespaces/")
    assert _ask(restored, "select count(*) from pg_replication_slots") == [0]
    for name in ("archive_command", "restore_command", "primary_conninfo"):
        assert _ask(restored, f"show {name}") in ([""], ["(disabled)"])
    assert _ask(restored, "show archive_mode") == ["off"]
    assert _ask(restored, "show session_preload_libraries") == [""]
    assert _ask(restored, "show wal_level") == ["logical"]


def test_a_server_is_recovered_in_place_and_back(server: PostgresServer, site: Site) -> None:
    site.drd("backup", "shop")
    server.execute("delete from orders where n > 100", "shop")
    here = ("recover", "shop", "--in-place", "--overwrite", "--yes")
    refused = site.drd(*here, code=1)
    assert "in use by postgres" in refused.err
    assert "must end before drd replaces" in refused.err
    server.stop()
    done = site.drd(*here, "--json").json
    assert done["result"] == "passed"
    server.start()
    assert _ask(server, "select count(*) from orders") == [300]
    running = site.drd("undo", done["run"], "--yes", code=1)
    assert "a PostgreSQL server runs in" in running.err
    server.stop()
    site.drd("undo", done["run"], "--yes")
    server.start()
    assert _ask(server, "select count(*) from orders") == [100]
    server.stop()
    site.drd("undo", done["run"], "--redo", "--yes")
    site.drd("done", done["run"], "--yes")
    server.start()
    assert _ask(server, "select count(*) from orders") == [300]
    left = [p.name for p in server.directory.iterdir() if "drd" in p.name]
    assert left == []
    subprocess.run(["find", server.directory, "-name", "*drd_*"], check=True)
    site.assert_clean()


def test_what_belongs_to_a_server_begins_when_its_copy_is_there(
    server: PostgresServer, short_tmp: Path
) -> None:
    site = Site(short_tmp / "s")
    (short_tmp / "etc").mkdir()
    (short_tmp / "etc/app.conf").write_text("a = 1\n")
    site.plan(
        "components:\n"
        f'  server: {{kind: postgres-cluster, dsn: "{server.dsn("shop")}"}}\n'
        f"  conf: {{kind: files, paths: [{short_tmp}/etc]}}\n"
        "consistency:\n  - {components: [conf, server], within: 1h}\n"
    )
    site.drd("backup", "shop")
    [point] = site.points()
    times = {c["component"]: from_rfc3339(c["data_time"]) for c in point["components"]}
    apart_s = (times["conf"] - times["server"]).total_seconds()
    assert apart_s >= 0, "the data time of the server is the end of its copying"
    assert point["consistency"][0]["spread_s"] == pytest.approx(apart_s, abs=0.002)
