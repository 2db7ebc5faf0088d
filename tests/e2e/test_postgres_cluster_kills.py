"""A backup, drill or recovery of a whole PostgreSQL server that dies in the middle leaves nothing
behind, and loses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.servers import PostgresServer, postgres_server, short_directory

pytestmark = pytest.mark.kills

PLAN = """
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}"}}
targets:
  standby: {{server: {{data_dir: {back}}}}}
checks:
  - {{name: orders, kind: sql, component: server, query: select count(*) from orders, expect: 300}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        server.execute("create database shop")
        server.execute("create table orders as select generate_series(1, 300) as n", "shop")
        yield server


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    back = short_tmp / "back"
    back.mkdir()
    owner = server.data_dir.stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    site.plan(PLAN.format(dsn=server.dsn("shop"), back=back / "main"))
    return site


def _killed_when(site: Site, seen: Callable[[], object], *words: str) -> None:
    """Kill a command as soon as something is there."""
    started = site.start(*words)
    end = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.005)
    started.send_signal(signal.SIGKILL)
    assert started.wait(60) == -signal.SIGKILL


def test_a_backup_that_dies_while_it_copies_leaves_nothing(
    server: PostgresServer, site: Site
) -> None:
    work = site.base / "work"
    _killed_when(site, lambda: list(work.glob("run-*/*/cluster/data/base/*/*")), "backup", "shop")
    site.drd("backup", "shop")
    assert "passed" in site.drd("drill", "shop").out
    slots = "select count(*) from pg_replication_slots"
    assert server.execute(slots) == [(0,)]
    site.assert_clean()


def test_a_recovery_that_dies_while_the_server_replays_goes_on(
    server: PostgresServer, site: Site, short_tmp: Path
) -> None:
    site.drd("backup", "shop")
    back = short_tmp / "back"
    there = (*("recover", "shop", "--target", "standby"), "--yes")
    # For root, what lands is one directory further down.
    running = (".drd_*/tree/server/data/postmaster.pid", ".drd_*/server/data/postmaster.pid")
    _killed_when(site, lambda: [p for g in running for p in back.glob(g)], *there)
    assert not (back / "main").exists()
    (run,) = [r["run"] for r in site.runs() if r["kind"] == "recovery"]
    site.drd("resume", run, "--yes")
    assert (back / "main/PG_VERSION").exists()
    assert [p.name for p in back.iterdir()] == ["main"]
    site.assert_clean()


def test_a_drill_that_dies_leaves_no_server(site: Site) -> None:
    site.drd("backup", "shop")
    work = site.base / "work"
    _killed_when(
        site, lambda: list(work.glob("run-*/*/server/data/postmaster.pid")), "drill", "shop"
    )
    assert "passed" in site.drd("drill", "shop").out
    site.assert_clean()


def test_a_killed_recovery_of_one_database_is_continued(server: PostgresServer, site: Site) -> None:
    server.execute("delete from orders where n > 100", "shop")  # another attempt may have done it
    server.execute("insert into orders select generate_series(101, 300)", "shop")
    site.drd("backup", "shop")
    server.execute("delete from orders where n > 100", "shop")
    here = ("recover", "shop", "--in-place", "--database", "shop", "--overwrite", "--yes")
    for seen in (
        lambda: _server_runs(site),
        lambda: [n for n in _databases(server) if n.startswith("drd_")],
    ):
        _killed_when(site, seen, *here)
        assert server.execute("select count(*) from orders", "shop") == [(100,)]
    done = site.drd(*here, "--json").json
    assert done["result"] == "passed"
    assert server.execute("select count(*) from orders", "shop") == [(300,)]
    site.drd("undo", done["run"], "--yes")
    assert server.execute("select count(*) from orders", "shop") == [(100,)]
    site.drd("done", done["run"], "--yes")
    server.execute("insert into orders select generate_series(101, 300)", "shop")
    _assert_nothing_left(server, site)


def test_a_killed_recovery_of_a_table_that_is_not_continued_leaves_nothing(
    server: PostgresServer, site: Site
) -> None:
    site.drd("backup", "shop")
    here = ("recover", "shop", "--in-place", "--table", "shop.public.orders", "--yes")
    made = lambda: [n for n in _databases(server) if n.startswith("drd_")]  # noqa: E731
    _killed_when(site, made, *here, "--into", "orders_then")
    site.drd(*here, "--into", "orders_now")
    states = [run["state"] for run in site.runs() if run["kind"] == "recovery"]
    assert sorted(states) == ["interrupted", "succeeded"]
    tables = "select count(*) from pg_class where relname like 'orders_%' and relkind = 'r'"
    assert server.execute(tables, "shop") == [(1,)]
    server.execute("drop table orders_now", "shop")
    _assert_nothing_left(server, site)


def _server_runs(site: Site) -> bool:
    # os.walk passes over directories that the recovery removes meanwhile; rglob raises an error.
    return any("postmaster.pid" in files for _, _, files in os.walk(site.base / "work"))


def _databases(server: PostgresServer) -> list[str]:
    return [str(name) for (name,) in server.execute("select datname from pg_database")]


def _assert_nothing_left(server: PostgresServer, site: Site) -> None:
    assert not [name for name in _databases(server) if "drd" in name]
    schemas = "select count(*) from pg_namespace where nspname like 'drd%'"
    assert server.execute(schemas, "shop") == [(0,)]
    site.assert_clean()
