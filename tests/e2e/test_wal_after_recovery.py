"""A server that drd has recovered in place goes on in its log: what was written to it since is
recovered to the transaction from a base backup of before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemons import daemon
from tests.e2e.logs import (
    await_reachable,
    await_stored,
    keep_wal,
    now_of,
    order,
    postgres_with_orders,
    recovered,
    value_of,
    wal_site,
)
from tests.e2e.site import Site
from tests.servers import PostgresServer, short_directory


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_with_orders(base / "pg") as server,
    ):
        yield server


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    made = wal_site(short_tmp, server)
    plan = made.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("wal: {", f"data_dir: {server.data_dir}, wal: {{"))
    keep_wal(server)
    return made


@pytest.mark.timeout(600)  # it waits for what a daemon does on a busy machine
def test_the_log_leads_beyond_a_recovery_in_place(server: PostgresServer, site: Site) -> None:
    with daemon(site) as running:
        await_reachable(site, running)
        order(server, 2)
        kept = now_of(server)
        order(server, 3)
        await_stored(site, running, now_of(server))
    server.stop()
    site.drd("recover", "shop", "--in-place", "--overwrite", "--before", kept, "--yes")
    server.start()
    assert value_of(server, "select count(*) from orders") == "2"
    order(server, 4)
    between = now_of(server)
    order(server, 5)
    with daemon(site) as running:
        await_stored(site, running, now_of(server))
    assert recovered(site, "--before", between)[0] == "3"
