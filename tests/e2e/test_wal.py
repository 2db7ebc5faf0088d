"""A server is recovered to a transaction: the daemon receives its WAL, and stores it beside the
restore points."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.postgres.physical.settings import ClusterTarget
from drd.kinds.registry import by_hand_of
from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site
from tests.e2e.test_docs import commands, section
from tests.e2e.test_mariadb_kind import bash
from tests.servers import PostgresServer, postgres_server, short_directory

LONG = {"within_s": 250.0}

PLAN = """
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}", wal: {{every: 5s}}}}
targets:
  standby: {{server: {{data_dir: {back}}}}}
checks:
  - {{name: rows as at backup, kind: rows, component: server}}
  - name: orders
    kind: sql
    component: server
    query: select count(*) from orders
    expect: "> 0"
backup: {{every: 24h}}
drill: {{every: 30d}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        server.use_small_segments()
        server.execute("alter system set min_wal_size = '2MB'")
        server.execute("create table orders (n int)")
        server.execute("insert into orders values (1)")
        yield server


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    back = short_tmp / "back"
    back.mkdir()
    owner = server.data_dir.stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    site.plan(PLAN.format(dsn=server.dsn(), back=back / "main"))
    return site


def _log(site: Site) -> dict[str, Any]:
    logs = site.drd("points", "shop", "--json").json["logs"]
    return dict(logs[0]) if logs else {}


def _value(server: PostgresServer, sql: str) -> str:
    return str(server.execute(sql)[0][0])


def _orders(server: PostgresServer, number: int) -> str:
    """Insert an order, and return its transaction."""
    sql = f"with o as (insert into orders values ({number}) returning 1)"
    return _value(server, f"{sql} select pg_current_xact_id() from o")


def _now(server: PostgresServer) -> str:
    return _value(server, "select to_json(clock_timestamp())").strip('"')


def _recovered(site: Site, *words: str) -> tuple[str, str]:
    """Recover, and return what the check `orders` found, and how far the WAL was replayed."""
    to = ("recover", "shop", "--target", "standby", "--overwrite", "--no-undo", "--yes", "--json")
    checks = {c["name"]: c for c in site.drd(*to, *words).json["checks"]}
    assert checks["rows as at backup"]["verdict"] == "not_run"
    return checks["orders"]["observed"], checks["server is rolled forward"]["observed"]


@pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine
def test_a_server_is_recovered_to_the_transaction(server: PostgresServer, site: Site) -> None:
    refused = " ".join(site.drd("doctor", "shop", code=1).out.split())
    assert "ALTER SYSTEM SET max_slot_wal_keep_size" in refused
    server.execute("alter system set max_slot_wal_keep_size = '64MB'")
    server.execute("select pg_reload_conf()")
    with daemon(site) as running:
        # The receiver begins, and has a base backup made.
        until(lambda: _log(site).get("reachable"), "a reachable range", running, **LONG)
        _orders(server, 2)
        third = _orders(server, 3)
        between = _now(server)
        [first] = running.events("receiver.started")
        os.kill(first["pid"], signal.SIGKILL)
        until(
            lambda: len(running.events("receiver.started")) == 2,
            "another receiver",
            running,
            **LONG,
        )
        _orders(server, 4)
        server.execute("create table late as select 7 as n")  # younger than the base backup
        dropping = _now(server)
        server.execute("drop table late")
        done = _now(server)
        until(
            lambda: (_log(site).get("complete_at") or "") > done[:19], "the push", running, **LONG
        )
    reachable = _log(site)["reachable"]
    assert len(reachable) == 1  # without a gap
    status = site.drd("status", "shop", "--json", code=None).json["plans"][0]
    assert status["components"][0]["data_time"] >= done[:19]  # not that of the backup
    assert len(status["components"][0]["log"]["reachable"]) == 1
    screen = " ".join(site.drd("status", "shop", code=None).out.split())
    assert "Point in time server can be recovered to any time from 20" in screen
    shown = site.drd("points", "shop").out
    assert "server can be recovered to any time from" in shown
    assert _recovered(site, "--before", between)[0] == "3"
    count, reached = _recovered(site, "--before", third)
    assert count == "2"
    assert f"transaction {third}, the next one, is not" in reached
    assert _recovered(site, "--to-last")[0] == "4"
    _assert_a_table_comes_from_before_it_was_dropped(server, site, dropping)
    early = site.drd("recover", "shop", "--target", "standby", "--before", "0/1", code=13)
    assert "has no restore point of server that ends before 0/1" in early.err
    _assert_drills_take_turns(site, reachable[0]["to"])
    _assert_back_by_hand(site, between)
    [slot] = [name for (name,) in server.execute("select slot_name from pg_replication_slots")]
    (site.base / "plans/shop.yaml").unlink()
    told = " ".join(site.drd("plan", "forget", "shop", "--yes").err.split())
    assert f"psql -d postgres -c \"SELECT pg_drop_replication_slot('{slot}')\"" in told


def _assert_a_table_comes_from_before_it_was_dropped(
    server: PostgresServer, site: Site, dropping: str
) -> None:
    late = ("--database", "postgres", "--table", "public.late", "--into", "late")
    here = ("recover", "shop", "--in-place", *late, "--yes")
    assert "does not contain table public.late" in site.drd(*here, code=2).err
    gone = site.drd(*here, "--to-last", code=1)
    assert "does not contain table public.late" in gone.err
    back = site.drd(*here, "--before", dropping, "--json").json
    assert back["result"] == "passed"
    assert _value(server, "select n from late") == "7"
    server.execute("drop table late")
    orders = ("--table", "postgres.public.orders", "--into", "orders_then", "--yes")
    site.drd("recover", "shop", "--in-place", *orders, "--before", dropping)
    assert _value(server, "select count(*) from orders_then") == "4"
    server.execute("drop table orders_then")


def _assert_back_by_hand(site: Site, before: str) -> None:
    """The printed commands replay the WAL as well, up to a time."""
    file = site.base / "plans/shop.yaml"
    component = plan_of_text(file.read_text(), file).components["server"]
    there = site.base.parent / "back/by-hand"
    target = ClusterTarget.model_validate({"data_dir": str(there)})
    printed = by_hand_of("postgres-cluster")(component, target, place="", resolve=str)
    [told] = [p.text for p in printed.passages if "STOP" in p.text]
    script = "\n".join(p.commands for p in printed.passages if not p.compares)
    owner = there.parent.owner()
    script = script.replace("-u postgres", f"-u {owner}").replace("postgres: ", f"{owner}: ")
    page = "docs/recovery-without-drd.md"
    opened = "\n".join(commands(page, section(page, n)) for n in "12")
    stop = re.search(r'STOP="[^"]*"', told)
    assert stop is not None
    stopped = re.sub(r"2026-11-25T00:31:00Z", before, stop[0])
    assert before in stopped
    seen = (
        f"echo by hand: $({printed.ask} \"select string_agg(n::text, ',' order by n) from orders\")"
    )
    said = bash(f"{opened}\n{stopped}\n{script}\n{seen}\nstop_server", site, COMPONENT="server")
    assert "by hand: 1,2,3" in said.splitlines()


def _assert_drills_take_turns(site: Site, end: str) -> None:
    """One compares with the backup, the next one replays the WAL."""
    base, rolled = (site.drd("drill", "shop", "--json").json for _ in range(2))
    verdicts = [{c["name"]: c["verdict"] for c in one["checks"]} for one in (base, rolled)]
    assert [v["rows as at backup"] for v in verdicts] == ["passed", "not_run"]
    assert [one["result"] for one in (base, rolled)] == ["passed", "passed"]
    reached = next(c["observed"] for c in rolled["checks"] if c["name"].endswith("forward"))
    assert "is there, transaction" in reached
    assert rolled["rpa_s"] < base["rpa_s"], end
