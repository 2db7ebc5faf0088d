"""A MariaDB server is recovered to a transaction: the daemon receives its binary log, and stores it
beside the restore points."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.mariadb.physical.settings import ServerTarget
from drd.kinds.registry import by_hand_of
from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site
from tests.e2e.test_docs import commands, section
from tests.e2e.test_mariadb_kind import bash
from tests.servers import MariadbServer, mariadb_server, short_directory

LONG = {"within_s": 250.0}

PLAN = """
components:
  server: {{kind: mariadb-server, dsn: "{dsn}", binlog: {{every: 5s}}}}
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
def server() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_server(base / "m", options=("--log-bin=bin", "--server-id=7")) as server,
    ):
        server.execute("create database shop")
        server.execute(
            "create table orders (n int)", "insert into orders values (1)", database="shop"
        )
        yield server


@pytest.fixture
def site(server: MariadbServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    back = short_tmp / "back"
    back.mkdir()
    owner = (server.directory / "data").stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    site.plan(PLAN.format(dsn=server.dsn("shop"), back=back / "data"))
    return site


def _log(site: Site) -> dict[str, Any]:
    logs = site.drd("points", "shop", "--json").json["logs"]
    return dict(logs[0]) if logs else {}


def _order(server: MariadbServer, number: int) -> str:
    """Insert an order, and return its transaction."""
    server.execute(f"insert into orders values ({number})", database="shop")
    return str(server.execute("select @@gtid_binlog_pos")[0][0])


def _between() -> str:
    """Return a time with one whole second on both sides: times in the log are whole seconds."""
    time.sleep(1.1)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    time.sleep(1.1)
    return now


def _recovered(site: Site, *words: str) -> tuple[str, str]:
    """Recover, and return what the check `orders` found, and how far the log was replayed."""
    to = ("recover", "shop", "--target", "standby", "--overwrite", "--no-undo", "--yes", "--json")
    checks = {c["name"]: c for c in site.drd(*to, *words).json["checks"]}
    assert checks["rows as at backup"]["verdict"] == "not_run"
    return checks["orders"]["observed"], checks["server is rolled forward"]["observed"]


@pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine
def test_a_server_is_recovered_to_the_transaction(server: MariadbServer, site: Site) -> None:
    refused = " ".join(site.drd("doctor", "shop", code=1).out.split())
    assert "SET GLOBAL binlog_format = 'ROW'" in refused
    server.execute("set global binlog_format = 'ROW'")
    with daemon(site) as running:
        # The receiver begins, and has a base backup made.
        until(lambda: _log(site).get("reachable"), "a reachable range", running, **LONG)
        _order(server, 2)
        third = _order(server, 3)
        between = _between()
        [first] = running.events("receiver.started")
        os.kill(first["pid"], signal.SIGKILL)
        until(
            lambda: len(running.events("receiver.started")) == 2,
            "another receiver",
            running,
            **LONG,
        )
        server.execute("flush binary logs")
        _order(server, 4)
        done = _between()
        until(lambda: (_log(site).get("complete_at") or "") > done, "the push", running, **LONG)
    reachable = _log(site)["reachable"]
    assert len(reachable) == 1  # without a gap
    status = site.drd("status", "shop", "--json", code=None).json["plans"][0]
    assert status["components"][0]["data_time"] >= done[:19]  # not that of the backup
    screen = " ".join(site.drd("status", "shop", code=None).out.split())
    assert "Point in time server can be recovered to any time from 20" in screen
    shown = site.drd("points", "shop").out
    assert "server can be recovered to any time from" in shown
    assert _recovered(site, "--before", between)[0] == "3"
    orders, reached = _recovered(site, "--before", third)
    assert orders == "2"
    assert f"transaction {third}, the next one, is not" in reached
    assert _recovered(site, "--to-last")[0] == "4"
    early = site.drd("recover", "shop", "--target", "standby", "--before", "000001:4", code=13)
    assert "has no restore point of server that ends before 000001:4" in early.err
    _assert_drills_take_turns(site)
    _assert_back_by_hand(site, server, between)


def _assert_back_by_hand(site: Site, server: MariadbServer, before: str) -> None:
    """The printed commands replay the log as well, up to a time."""
    file = site.base / "plans/shop.yaml"
    component = plan_of_text(file.read_text(), file).components["server"]
    there = site.base.parent / "back/by-hand"
    target = ServerTarget.model_validate({"data_dir": str(there)})
    printed = by_hand_of("mariadb-server")(component, target, place="", resolve=str)
    script = "\n".join(p.commands for p in printed.passages if not p.compares)
    if server.user is not None:
        script = script.replace("-u mysql", "-u nobody").replace(
            "chown -R mysql:", "chown -R nobody:"
        )
    page = "docs/recovery-without-drd.md"
    opened = "\n".join(commands(page, section(page, n)) for n in "12")
    stop = f"STOP=(--stop-datetime='{before[:10]} {before[11:19]}')"
    seen = f"echo by hand: $({printed.ask} 'select group_concat(n order by n) from orders')"
    said = bash(
        f"{opened}\n{stop}\n{script}\n{seen}\nstop_server || true", site, COMPONENT="server"
    )
    assert "by hand: 1,2,3" in said.splitlines()


def _assert_drills_take_turns(site: Site) -> None:
    """One compares with the backup, the next one replays the log."""
    base, rolled = (site.drd("drill", "shop", "--json").json for _ in range(2))
    verdicts = [{c["name"]: c["verdict"] for c in one["checks"]} for one in (base, rolled)]
    assert [v["rows as at backup"] for v in verdicts] == ["passed", "not_run"]
    assert [one["result"] for one in (base, rolled)] == ["passed", "passed"]
    reached = next(c["observed"] for c in rolled["checks"] if c["name"].endswith("forward"))
    assert "is there, transaction" in reached
    assert rolled["rpa_s"] < base["rpa_s"]
