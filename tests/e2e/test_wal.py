"""A server is recovered to a transaction: the daemon receives its WAL, and stores it beside the
restore points."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemons import daemon
from tests.e2e.logs import (
    assert_drills_take_turns,
    assert_one_range_is_told,
    assert_recovered_before_and_to_last,
    assert_wal_back_by_hand,
    await_reachable,
    await_stored,
    keep_wal,
    kill_receiver,
    now_of,
    order,
    postgres_with_orders,
    recovered,
    value_of,
    wal_site,
)
from tests.e2e.site import Site
from tests.servers import PostgresServer, short_directory


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_with_orders(base / "pg") as server,
    ):
        yield server


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    return wal_site(short_tmp, server)


@pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine
def test_a_server_is_recovered_to_the_transaction(server: PostgresServer, site: Site) -> None:
    refused = " ".join(site.drd("doctor", "shop", code=1).out.split())
    assert "ALTER SYSTEM SET max_slot_wal_keep_size" in refused
    keep_wal(server)
    with daemon(site) as running:
        await_reachable(site, running)
        order(server, 2)
        third = order(server, 3)
        between = now_of(server)
        kill_receiver(running)
        order(server, 4)
        server.execute("create table late as select 7 as n")  # younger than the base backup
        dropping = now_of(server)
        server.execute("drop table late")
        done = now_of(server)
        await_stored(site, running, done)
    assert_one_range_is_told(site, done)
    assert_recovered_before_and_to_last(site, between, third)
    _assert_a_table_comes_from_before_it_was_dropped(server, site, dropping)
    early = site.drd("recover", "shop", "--target", "standby", "--before", "0/1", code=13)
    assert "has no restore point of server that ends before 0/1" in early.err
    assert_drills_take_turns(site)
    assert_wal_back_by_hand(site, between)
    site.drd("backup", "shop")  # which has all orders, so a recovery begins with an older one
    assert recovered(site, "--before", third)[0] == "2"
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
    assert value_of(server, "select n from late") == "7"
    server.execute("drop table late")
    orders = ("--table", "postgres.public.orders", "--into", "orders_then", "--yes")
    site.drd("recover", "shop", "--in-place", *orders, "--before", dropping)
    assert value_of(server, "select count(*) from orders_then") == "4"
    server.execute("drop table orders_then")
