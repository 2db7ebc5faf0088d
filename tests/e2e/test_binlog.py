"""A MariaDB server is recovered to a transaction: the daemon receives its binary log, and stores it
beside the restore points."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.kinds.mariadb.physical.settings import ServerTarget
from tests.e2e.daemons import daemon
from tests.e2e.logs import (
    assert_back_by_hand,
    assert_drills_take_turns,
    assert_one_range_is_told,
    assert_recovered_before_and_to_last,
    await_reachable,
    await_stored,
    between_seconds,
    binlog_site,
    by_hand,
    kill_receiver,
    mariadb_order,
    mariadb_with_orders,
    script_of,
)
from tests.e2e.site import Site
from tests.servers import MariadbServer, short_directory


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_with_orders(base / "m") as server,
    ):
        yield server


@pytest.fixture
def site(server: MariadbServer, short_tmp: Path) -> Site:
    return binlog_site(short_tmp, server)


@pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine
def test_a_server_is_recovered_to_the_transaction(server: MariadbServer, site: Site) -> None:
    refused = " ".join(site.drd("doctor", "shop", code=1).out.split())
    assert "SET GLOBAL binlog_format = 'ROW'" in refused
    server.execute("set global binlog_format = 'ROW'")
    with daemon(site) as running:
        await_reachable(site, running)
        mariadb_order(server, 2)
        third = mariadb_order(server, 3)
        between = between_seconds()
        kill_receiver(running)
        server.execute("flush binary logs")
        mariadb_order(server, 4)
        done = between_seconds()
        await_stored(site, running, done)
    assert_one_range_is_told(site, done)
    assert_recovered_before_and_to_last(site, between, third)
    early = site.drd("recover", "shop", "--target", "standby", "--before", "000001:4", code=13)
    assert "has no restore point of server that ends before 000001:4" in early.err
    assert_drills_take_turns(site)
    _assert_a_table_comes_back(server, site, third)
    _assert_back_by_hand(site, server, between)


def _assert_a_table_comes_back(server: MariadbServer, site: Site, third: str) -> None:
    """A table of the live server has beside it what it contained before a transaction."""
    here = ("recover", "shop", "--in-place", "--yes", "--table", "shop.orders")
    site.drd(*here, "--into", "orders_then", "--before", third)
    assert server.execute("select count(*) from shop.orders_then")[0][0] == 2
    assert server.execute("select count(*) from shop.orders")[0][0] == 4
    server.execute("drop table shop.orders_then")


def _assert_back_by_hand(site: Site, server: MariadbServer, before: str) -> None:
    there = site.base.parent / "back/by-hand"
    printed = by_hand(site, ServerTarget.model_validate({"data_dir": str(there)}))
    script = script_of(printed)
    if server.user is not None:
        script = script.replace("-u mysql", "-u nobody").replace(
            "chown -R mysql:", "chown -R nobody:"
        )
    stop = f"STOP=(--stop-datetime='{before[:10]} {before[11:19]}')"
    ask = f"{printed.ask} 'select group_concat(n order by n) from orders'"
    assert_back_by_hand(site, f"{stop}\n{script}", ask, end="stop_server || true")
