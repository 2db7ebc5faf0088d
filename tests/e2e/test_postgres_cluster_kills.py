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
