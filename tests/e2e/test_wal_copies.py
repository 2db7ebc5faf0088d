"""A copy gets the WAL of a server too: with the main repository gone, it alone leads to the last
transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.copies import flip_a_byte, offsite_of
from tests.e2e.daemons import daemon
from tests.e2e.log_copies import (
    assert_a_wrong_log_is_read_from_the_copy,
    assert_all_is_told_of_the_copy,
    assert_recovered_from_the_copy,
    await_copied,
    await_trouble,
    copy_of_log,
    destroy_main,
    hide,
    kill_while_copying,
    show,
)
from tests.e2e.logs import (
    await_reachable,
    await_stored,
    keep_wal,
    now_of,
    order,
    postgres_with_orders,
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
        keep_wal(server)
        yield server


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    return wal_site(short_tmp, server, copied=True)


@pytest.mark.timeout(1200)  # it waits for what a daemon does on a busy machine
def test_the_copy_alone_leads_to_the_transaction(server: PostgresServer, site: Site) -> None:
    with daemon(site) as running:
        await_reachable(site, running)
        order(server, 2)
        order(server, 3)
        between = now_of(server)
        order(server, 4)
        await_copied(site, running, now_of(server))
        hide(site)
        order(server, 5)
        away = now_of(server)
        await_stored(site, running, away)  # no push waits for the copy
        await_trouble(site, running)
        assert len(copy_of_log(site)["reachable"]) == 1
        show(site)
        await_copied(site, running, away)
        assert copy_of_log(site)["trouble"] is None
        order(server, 6)
        kill_while_copying(running)
        order(server, 7)
        await_copied(site, running, now_of(server))
        assert len(copy_of_log(site)["reachable"]) == 1
        assert_all_is_told_of_the_copy(site)
    assert (
        "shop: nothing to copy to the log of server in repository" in site.drd("copy", "shop").out
    )
    drilled = site.drd("drill", "shop", "--scenario", "region-loss", "--json").json
    assert drilled["result"] == "passed"
    site.drd("verify", "shop", "--repository", "offsite")
    assert_a_wrong_log_is_read_from_the_copy(site, last="7")
    destroy_main(site)
    assert_recovered_from_the_copy(site, between, orders="3", last="7")
    _assert_damage_is_found(site)


def _assert_damage_is_found(site: Site) -> None:
    """Verification of the copy reads the copied log as well."""
    flip_a_byte(offsite_of(site).with_name("offsite-wal"))
    said = " ".join(site.drd("verify", "shop", "--repository", "offsite", code=None).err.split())
    assert f"the repository of the logs, {offsite_of(site)}-wal, is damaged" in said
    assert "drd backup shop" in said
