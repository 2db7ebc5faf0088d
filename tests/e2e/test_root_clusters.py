"""A recovery by root, with the state of the service's user, of a server whose log is replayed.

Objects that forward to others with root's rights had none of their abilities for `isinstance` from
Python 3.12 on: such a recovery ended in the middle, and nothing asked who uses the replaced files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.flows.root.adapters import RootedKind
from drd.kinds.registry import kind_for
from drd.ports import aside as kept
from drd.ports import destinations as ports
from drd.ports import logs, sources
from drd.registry import KINDS
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
from tests.security.test_root_rights import owned, roots_files
from tests.servers import PostgresServer, short_directory
from tests.user_support import as_root

PROTOCOLS = [
    one
    for module in (ports, kept, sources, logs)
    for one in vars(module).values()
    if getattr(one, "_is_runtime_protocol", False)
]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_with_orders(base / "pg") as server,
    ):
        yield server


@pytest.mark.parametrize("name", [spec.name for spec in KINDS])
def test_a_kind_that_takes_roots_rights_keeps_its_abilities(name: str) -> None:
    assert len(PROTOCOLS) >= 5
    plain = kind_for(name)
    rooted = RootedKind(plain)
    for protocol in PROTOCOLS:
        assert isinstance(rooted, protocol) == isinstance(plain, protocol), protocol


@as_root
@pytest.mark.timeout(600)  # it waits for what a daemon does on a busy machine
def test_root_recovers_a_server_to_its_last_transaction(
    server: PostgresServer, short_tmp: Path
) -> None:
    site = wal_site(short_tmp, server)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("wal: {", f"data_dir: {server.data_dir}, wal: {{"))
    keep_wal(server)
    with daemon(site) as running:
        await_reachable(site, running)
        order(server, 2)
        await_stored(site, running, now_of(server))
    for name in ("state", "work", "cache", "repo", "repo-wal"):
        owned(site.base / name)
    assert recovered(site, "--to-last")[0] == "2"
    for _ in range(2):  # one compares with the backup, the next one replays the log
        assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    here = ("recover", "shop", "--in-place", "--overwrite", "--yes")
    assert "in use by postgres" in site.drd(*here, code=1).err
    server.execute("delete from orders")
    server.stop()
    done = site.drd(*here, "--json").json
    assert done["result"] == "passed"
    server.start()
    assert value_of(server, "select count(*) from orders") == "2"
    server.stop()
    site.drd("undo", done["run"], "--yes")
    server.start()
    assert value_of(server, "select count(*) from orders") == "0"
    assert roots_files(site, "state", "work", "cache", "repo", "repo-wal") == []
