"""A copy gets the binary log of a MariaDB server too: with the main repository gone, it alone leads
to the last transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemons import daemon
from tests.e2e.log_copies import (
    assert_a_wrong_log_is_read_from_the_copy,
    assert_all_is_told_of_the_copy,
    assert_recovered_from_the_copy,
    await_copied,
    copy_of_log,
    destroy_main,
    kill_while_copying,
)
from tests.e2e.logs import (
    await_reachable,
    between_seconds,
    binlog_site,
    mariadb_order,
    mariadb_with_orders,
)
from tests.e2e.site import Site
from tests.servers import MariadbServer, short_directory


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_with_orders(base / "m", "--binlog-format=ROW") as server,
    ):
        yield server


@pytest.fixture
def site(server: MariadbServer, short_tmp: Path) -> Site:
    return binlog_site(short_tmp, server, copied=True)


@pytest.mark.timeout(1200)  # it waits for what a daemon does on a busy machine
def test_the_copy_alone_leads_to_the_transaction(server: MariadbServer, site: Site) -> None:
    with daemon(site) as running:
        await_reachable(site, running)
        mariadb_order(server, 2)
        mariadb_order(server, 3)
        between = between_seconds()
        server.execute("flush binary logs")
        mariadb_order(server, 4)
        kill_while_copying(running)
        mariadb_order(server, 5)
        await_copied(site, running, between_seconds())
        assert len(copy_of_log(site)["reachable"]) == 1
        assert_all_is_told_of_the_copy(site)
    assert_a_wrong_log_is_read_from_the_copy(site, last="5")
    destroy_main(site)
    assert_recovered_from_the_copy(site, between, orders="3", last="5")
