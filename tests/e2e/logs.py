"""A server with orders whose log drd receives: what the tests of all kinds of log do and assert."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.config.plan_file import plan_of_text
from drd.kinds.postgres.physical.settings import ClusterTarget
from drd.kinds.registry import by_hand_of
from drd.ports.by_hand import ByHand
from tests.e2e.copies import OFFSITE_PASSWORD, offsite_of
from tests.e2e.daemons import Daemon, until
from tests.e2e.site import Site
from tests.e2e.test_docs import commands, section
from tests.e2e.test_mariadb_kind import bash
from tests.servers import MariadbServer, PostgresServer, mariadb_server, postgres_server

LONG = {"within_s": 250.0}

_PLAN = """
components:
  server: {{{settings}}}
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


def logged_site(base: Path, settings: str, data: Path, *, copied: bool = False) -> Site:
    """A site whose plan has these settings of the server; `copied`: and a copy `offsite`. The owner
    of its directory `data` may write into `back`, to which it is recovered."""
    site = Site(base / "s")
    offsite_of(site).parent.mkdir()
    password = site.secret("offsite", OFFSITE_PASSWORD)
    offsite = f"  offsite: {{url: {offsite_of(site)}, password: {password}, copy_of: primary}}\n"
    back = base / "back"
    back.mkdir()
    owner = data.stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    plan = _PLAN.format(settings=settings, back=back / "data")
    site.plan(plan, s3=offsite if copied else "")
    return site


def log_of(site: Site) -> dict[str, Any]:
    logs = site.drd("points", "shop", "--json").json["logs"]
    return dict(logs[0]) if logs else {}


def await_reachable(site: Site, running: Daemon) -> None:
    """The receiver begins, and has a base backup made."""
    until(lambda: log_of(site).get("reachable"), "a reachable range", running, **LONG)


def await_stored(site: Site, running: Daemon, since: str) -> None:
    """Wait until everything that was committed before `since` is stored."""
    until(lambda: is_complete(log_of(site), since), "the push", running, **LONG)


def is_complete(log: dict[str, Any], since: str) -> bool:
    """Whether a log, or the copy of one, has everything that was committed before `since`."""
    complete_at = log.get("complete_at")
    at = datetime.fromisoformat(since)
    return bool(complete_at) and datetime.fromisoformat(complete_at) > at


def kill_receiver(running: Daemon) -> None:
    """Kill the only one so far, and wait for another one."""
    [first] = running.events("receiver.started")
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: len(running.events("receiver.started")) == 2, "another receiver", running, **LONG)


def recovered(site: Site, *words: str) -> tuple[str, str]:
    """Recover, and return what the check `orders` found, and how far the log was replayed."""
    to = ("recover", "shop", "--target", "standby", "--overwrite", "--no-undo", "--yes", "--json")
    checks = {c["name"]: c for c in site.drd(*to, *words).json["checks"]}
    assert checks["rows as at backup"]["verdict"] == "not_run"
    return checks["orders"]["observed"], checks["server is rolled forward"]["observed"]


def assert_one_range_is_told(site: Site, until_at: str) -> None:
    """All screens tell of a range without a gap, which has what was written before `until_at`."""
    assert len(log_of(site)["reachable"]) == 1
    component = site.drd("status", "shop", "--json", code=None).json["plans"][0]["components"][0]
    assert component["data_time"] >= until_at[:19]  # not that of the backup
    assert len(component["log"]["reachable"]) == 1
    screen = " ".join(site.drd("status", "shop", code=None).out.split())
    assert "Point in time server can be recovered to any time from 20" in screen
    shown = site.drd("points", "shop").out
    assert "server can be recovered to any time from" in shown


def assert_recovered_before_and_to_last(site: Site, between: str, third: str) -> None:
    """`between` is a time after the third of four orders, whose transaction is `third`."""
    assert recovered(site, "--before", between)[0] == "3"
    orders, reached = recovered(site, "--before", third)
    assert orders == "2"
    assert f"transaction {third}, the next one, is not" in reached
    assert recovered(site, "--to-last")[0] == "4"


def assert_drills_take_turns(site: Site) -> None:
    """One compares with the backup, the next one replays the log."""
    base, rolled = (site.drd("drill", "shop", "--json").json for _ in range(2))
    verdicts = [{c["name"]: c["verdict"] for c in one["checks"]} for one in (base, rolled)]
    assert [v["rows as at backup"] for v in verdicts] == ["passed", "not_run"]
    assert [one["result"] for one in (base, rolled)] == ["passed", "passed"]
    reached = next(c["observed"] for c in rolled["checks"] if c["name"].endswith("forward"))
    assert "is there, transaction" in reached
    assert rolled["rpa_s"] < base["rpa_s"]


# --- by hand --------------------------------------------------------------------------------


def by_hand(site: Site, target: object) -> ByHand:
    """What drd prints for a recovery of the server to that target without drd."""
    file = site.base / "plans/shop.yaml"
    component = plan_of_text(file.read_text(), file).components["server"]
    return by_hand_of(component.kind)(component, target, place="", resolve=str)


def script_of(printed: ByHand) -> str:
    """Its commands, with the comparison, which fails for no row that was written later."""
    return "\n".join(p.commands for p in printed.passages)


def assert_back_by_hand(
    site: Site, script: str, ask: str, *, end: str = "stop_server", backed_up: int = 1
) -> None:
    """The printed commands replay the log as well, up to a time; `ask` prints the orders. The base
    backup has `backed_up` orders."""
    page = "docs/recovery-without-drd.md"
    opened = "\n".join(commands(page, section(page, n)) for n in "12")
    seen = f"echo by hand: $({ask})"
    said = bash(f"{opened}\n{script}\n{seen}\n{end}", site, COMPONENT="server")
    assert "by hand: 1,2,3" in said.splitlines()
    assert f"orders: 3 rows, {backed_up} at the backup\n" in said
    assert "server: rows not compared: the log was replayed beyond the backup\n" in said


def assert_wal_back_by_hand(site: Site, before: str = "", *, backed_up: int = 1) -> None:
    """The printed commands replay the WAL, up to a time if there is one."""
    there = site.base.parent / "back/by-hand"
    printed = by_hand(site, ClusterTarget.model_validate({"data_dir": str(there)}))
    [told] = [p.text for p in printed.passages if "STOP" in p.text]
    owner = there.parent.owner()
    script = script_of(printed)
    script = script.replace("-u postgres", f"-u {owner}").replace("postgres: ", f"{owner}: ")
    stop = re.search(r'STOP="[^"]*"', told)
    assert stop is not None
    stopped = re.sub(r"2026-11-25T00:31:00Z", before, stop[0]) if before else ""
    assert before in stopped
    ask = f"{printed.ask} \"select string_agg(n::text, ',' order by n) from orders\""
    assert_back_by_hand(site, f"{stopped}\n{script}", ask, backed_up=backed_up)


# --- PostgreSQL -----------------------------------------------------------------------------


@contextmanager
def postgres_with_orders(directory: Path) -> Iterator[PostgresServer]:
    """A server with segments of 1 MB, and one order."""
    with postgres_server(directory) as server:
        server.use_small_segments()
        server.execute("alter system set min_wal_size = '2MB'")
        server.execute("create table orders (n int)")
        server.execute("insert into orders values (1)")
        yield server


def wal_site(base: Path, server: PostgresServer, *, copied: bool = False) -> Site:
    settings = f'kind: postgres-cluster, dsn: "{server.dsn()}", wal: {{every: 5s}}'
    return logged_site(base, settings, server.data_dir, copied=copied)


def keep_wal(server: PostgresServer) -> None:
    server.execute("alter system set max_slot_wal_keep_size = '64MB'")
    server.execute("select pg_reload_conf()")


def value_of(server: PostgresServer, sql: str) -> str:
    return str(server.execute(sql)[0][0])


def order(server: PostgresServer, number: int) -> str:
    """Insert an order, and return its transaction."""
    sql = f"with o as (insert into orders values ({number}) returning 1)"
    return value_of(server, f"{sql} select pg_current_xact_id() from o")


def now_of(server: PostgresServer) -> str:
    return value_of(server, "select to_json(clock_timestamp())").strip('"')


# --- MariaDB -------------------------------------------------------------------------------


@contextmanager
def mariadb_with_orders(directory: Path, *options: str) -> Iterator[MariadbServer]:
    """A server that writes a binary log, and one order."""
    with mariadb_server(directory, options=("--log-bin=bin", "--server-id=7", *options)) as server:
        server.execute("create database shop")
        server.execute(
            "create table orders (n int)", "insert into orders values (1)", database="shop"
        )
        yield server


def binlog_site(base: Path, server: MariadbServer, *, copied: bool = False) -> Site:
    settings = f'kind: mariadb-server, dsn: "{server.dsn("shop")}", binlog: {{every: 5s}}'
    return logged_site(base, settings, server.directory / "data", copied=copied)


def mariadb_order(server: MariadbServer, number: int) -> str:
    """Insert an order, and return its transaction."""
    server.execute(f"insert into orders values ({number})", database="shop")
    return str(server.execute("select @@gtid_binlog_pos")[0][0])


def between_seconds() -> str:
    """Return a time with one whole second on both sides: times in the log are whole seconds."""
    time.sleep(1.1)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    time.sleep(1.1)
    return now
