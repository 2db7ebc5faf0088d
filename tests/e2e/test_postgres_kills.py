"""drd killed while PostgreSQL is being restored: the next run ends, removes and repeats."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.e2e.test_services import dump, fill, plan_body
from tests.servers import PostgresServer, postgres_server, short_directory

# On one worker, since the source is the same for all.
pytestmark = pytest.mark.xdist_group("postgres-kills")


@pytest.fixture(scope="module")
def source() -> Iterator[PostgresServer]:
    """It is only read."""
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as place,
        postgres_server(place) as server,
    ):
        fill(server, "orders", rows=100_000)
        yield server


@pytest.fixture
def world(
    short_tmp: Path, source: PostgresServer
) -> Iterator[tuple[Site, PostgresServer, PostgresServer]]:
    (short_tmp / "other").mkdir()
    with postgres_server(short_tmp / "other") as target:
        site = Site(short_tmp / "site")
        site.plan(plan_body(source.dsn("orders"), target.dsn("orders"), rows=100_000))
        site.drd("backup", "shop")
        yield site, source, target


def _databases(server: PostgresServer) -> set[str]:
    return {row[0] for row in server.execute("select datname from pg_database")}


@pytest.mark.kills
@pytest.mark.parametrize("moment", ["before:restore db", "undone:restore db", "in pg_restore"])
def test_killed_drill_leaves_no_server(
    world: tuple[Site, PostgresServer, PostgresServer], moment: str
) -> None:
    site, _, _ = world
    _kill(site, moment, "drill", "shop")
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    assert [r["state"] for r in site.runs()[:2]] == ["succeeded", "interrupted"]
    site.assert_clean()


@pytest.mark.kills
@pytest.mark.parametrize(
    "moment", ["after:preflight", "undone:restore db", "after:restore db", "in pg_restore"]
)
def test_killed_recovery_goes_on(
    world: tuple[Site, PostgresServer, PostgresServer], moment: str
) -> None:
    site, source, target = world
    words = ("recover", "shop", "--target", "standby", "--yes")
    _kill(site, moment, *words)
    assert site.drd(*words, "--json").json["result"] == "passed"
    assert dump(target, "orders") == dump(source, "orders")
    assert _databases(target) == {"postgres", "template0", "template1", "orders"}
    assert [r["state"] for r in site.runs() if r["kind"] == "recovery"] == ["succeeded"]
    site.assert_clean()


@pytest.mark.kills
def test_killed_recovery_that_is_asked_differently_leaves_no_database(
    world: tuple[Site, PostgresServer, PostgresServer],
) -> None:
    site, _, target = world
    _kill(site, "in pg_restore", "recover", "shop", "--target", "standby", "--yes")
    site.drd("recover", "shop", "--target", "standby", "--lost-at", "0s", "--yes")
    assert _databases(target) == {"postgres", "template0", "template1", "orders"}
    site.assert_clean()


@pytest.mark.kills
def test_cancelled_recovery_leaves_the_target_as_it_was(
    world: tuple[Site, PostgresServer, PostgresServer],
) -> None:
    site, _, target = world
    target.execute("create database orders")
    target.execute("create table mine(i int); insert into mine values (7)", "orders")
    child = _until_pg_restore(
        site, "recover", "shop", "--target", "standby", "--overwrite", "--yes"
    )
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert target.execute("select i from mine", "orders") == [(7,)]
    assert _databases(target) == {"postgres", "template0", "template1", "orders"}
    assert site.runs()[0]["state"] == "cancelled"
    site.assert_clean()


def test_recovery_refuses_tables_and_never_alters_roles_that_exist(
    world: tuple[Site, PostgresServer, PostgresServer],
) -> None:
    site, source, target = world
    target.execute("create role app nologin")
    target.execute("create database orders")
    target.execute("create table mine(i int)", "orders")
    refused = site.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    assert "not empty" in refused.err
    assert "--overwrite" in refused.err
    told = site.drd("recover", "shop", "--target", "standby", "--yes", "--overwrite", "--json").json
    assert dump(target, "orders") == dump(source, "orders")
    assert target.execute("select rolcanlogin from pg_roles where rolname = 'app'") == [(False,)]
    assert any("app" in note for note in told["components"][0]["notes"])
    site.assert_clean()


def _kill(site: Site, moment: str, *words: str) -> None:
    if moment != "in pg_restore":
        site.killed_at(moment, *words)
        return
    child = _until_pg_restore(site, *words)
    child.kill()
    child.communicate(timeout=60)


def _until_pg_restore(site: Site, *words: str) -> subprocess.Popen[bytes]:
    child = site.start(*words)
    limit = time.monotonic() + 60
    while not any(_restores(words) for words in site.processes().values()):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < limit, "no pg_restore was seen"
        time.sleep(0.005)
    return child


def _restores(words: str) -> bool:
    """Whether this is a pg_restore that fills a database, not one that lists the archive."""
    program, *options = words.split()
    return program.endswith("pg_restore") and any(o.startswith("--dbname") for o in options)
