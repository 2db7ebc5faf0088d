"""A standby takes over from a server whose WAL drd receives: drd goes on there, or reports the gap
and makes a base backup at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.daemons import daemon, until
from tests.e2e.logs import (
    LONG,
    assert_wal_back_by_hand,
    await_reachable,
    await_stored,
    keep_wal,
    log_of,
    logged_site,
    now_of,
    order,
    postgres_with_orders,
    recovered,
    value_of,
)
from tests.e2e.site import Site
from tests.servers import PostgresServer, short_directory

pytestmark = pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine


@contextmanager
def _pair(directory: Path) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A server whose WAL is kept, and a standby that streams from it."""
    with postgres_with_orders(directory / "pg") as primary:
        keep_wal(primary)
        standby = PostgresServer(directory / "standby")
        standby.directory.mkdir()
        if primary._user is not None:
            os.chown(standby.directory, primary._user.uid, primary._user.gid)
        copy = [str(primary.bin_dir / "pg_basebackup"), "-D", str(standby.data_dir), "-R"]
        copy += ["-c", "fast", "-d", primary.dsn()]
        standby.as_user(copy)
        standby.start()
        try:
            yield primary, standby
        finally:
            standby.stop("immediate")


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    with short_directory(Path(os.environ["DRD_TEST_RUN"])) as base, _pair(base) as pair:
        yield pair


@pytest.fixture
def site(pair: tuple[PostgresServer, PostgresServer], short_tmp: Path) -> Site:
    """A plan whose `dsn` leads to whichever of the two accepts writes."""
    primary, standby = pair
    dsn = primary.dsn(host=f"{primary.socket_dir},{standby.socket_dir}")
    dsn = dsn.replace(f"port={primary.port}", f"port={primary.port},{standby.port}")
    settings = (
        f'kind: postgres-cluster, dsn: "{dsn}&target_session_attrs=read-write", wal: {{every: 5s}}'
    )
    return logged_site(short_tmp, settings, primary.data_dir)


def _replayed(primary: PostgresServer, standby: PostgresServer) -> None:
    end = value_of(primary, "select pg_current_wal_insert_lsn()")
    until(
        lambda: value_of(standby, f"select pg_last_wal_replay_lsn() >= '{end}'") == "True",
        "the standby",
    )


def _promote(primary: PostgresServer, standby: PostgresServer) -> None:
    primary.kill()
    standby.execute("select pg_promote(true, 120)")


def _alerts(site: Site) -> list[str]:
    return [
        text
        for (text,) in site.catalogue(
            "SELECT message FROM alerts WHERE kind = 'log' ORDER BY since"
        )
    ]


def _backups(site: Site) -> int:
    [(count,)] = site.catalogue(
        "SELECT count(*) FROM runs WHERE kind = 'backup' AND state = 'succeeded'"
    )
    return int(count)


def test_drd_goes_on_with_a_standby_that_still_has_the_wal(
    pair: tuple[PostgresServer, PostgresServer], site: Site
) -> None:
    primary, standby = pair
    with daemon(site) as running:
        await_reachable(site, running)
        order(primary, 2)
        _replayed(primary, standby)
        standby.execute("alter system set primary_conninfo = ''")
        standby.execute("select pg_reload_conf()")
        until(lambda: not standby.execute("select 1 from pg_stat_wal_receiver"), "the receiver")
        # This one is stored, but the standby that takes over never gets it.
        order(primary, 3)
        lost = now_of(primary)
        await_stored(site, running, lost)
        _promote(primary, standby)
        order(standby, 4)
        order(standby, 5)
        await_stored(site, running, now_of(standby))
        told = until(lambda: _alerts(site), "the alert", running, **LONG)
    assert len(told) == 1
    assert "the server of server has changed from timeline 1 to 2 at 0/" in told[0]
    assert "The server no longer has the transactions of timeline 1 from 0/" in told[0]
    assert "; drd has them" in told[0]
    assert _backups(site) == 1
    slots = standby.execute("select slot_name from pg_replication_slots where active_pid is null")
    assert [name.startswith("drd_wal_shop_server_") for (name,) in slots] == [True]
    assert recovered(site, "--to-last")[0] == "4"  # 1, 2, 4 and 5
    # At that time the old server served, and had the order that its standby never got.
    assert recovered(site, "--before", lost)[0] == "3"


def test_a_standby_without_the_wal_that_drd_needs_is_a_gap_and_gets_a_base_backup_at_once(
    pair: tuple[PostgresServer, PostgresServer], site: Site
) -> None:
    primary, standby = pair
    with daemon(site) as running:
        await_reachable(site, running)
        order(primary, 2)
        before = now_of(primary)
        await_stored(site, running, before)
    # While drd is down, the servers go on, and the standby removes what it has replayed.
    primary.execute("create table noise as select repeat('x', 900) from generate_series(1, 9000)")
    order(primary, 3)
    within = now_of(primary)
    for _ in range(3):
        primary.execute("select pg_switch_wal()")
        primary.execute("checkpoint")
        _replayed(primary, standby)
        standby.execute("checkpoint")
    _promote(primary, standby)
    standby.execute("checkpoint")
    with daemon(site) as running:
        until(lambda: len(log_of(site)["reachable"]) == 2, "the new base backup", running, **LONG)
        order(standby, 4)
        await_stored(site, running, now_of(standby))
        told = until(lambda: _alerts(site), "the alert", running, **LONG)
        assert not log_of(site)["trouble"]
    assert "does not have the part of its log that drd has to receive next" in told[0]
    assert "has already been removed" in told[0]
    assert "has changed from timeline 1 to 2" in told[0]
    assert _backups(site) == 2
    shown = " ".join(site.drd("points", "shop").out.split())
    assert "server can be recovered to any time from" in shown
    assert "the log of server has a gap" in shown
    assert recovered(site, "--to-last")[0] == "4"
    assert recovered(site, "--before", before)[0] == "2"
    refused = site.drd("recover", "shop", "--target", "standby", "--before", within, code=None)
    assert refused.code != 0
    assert "has a gap after" in " ".join(refused.err.split())


def test_the_old_server_that_serves_again_is_a_gap_and_gets_a_base_backup_at_once(
    pair: tuple[PostgresServer, PostgresServer], site: Site
) -> None:
    """Somebody starts it again in the place of the standby, whose data is lost."""
    primary, standby = pair
    with daemon(site) as running:
        await_reachable(site, running)
        order(primary, 2)
        _replayed(primary, standby)
        _promote(primary, standby)
        order(standby, 9)
        await_stored(site, running, now_of(standby))
        standby.stop("immediate")
        primary.start()
        until(lambda: len(log_of(site)["reachable"]) == 2, "the new base backup", running, **LONG)
        order(primary, 3)
        await_stored(site, running, now_of(primary))
        gone = "starting timeline 2 is not present in the server"
        until(lambda: gone in "".join(_alerts(site)), "the alert", running, **LONG)
    assert _backups(site) == 2
    assert recovered(site, "--to-last")[0] == "3"  # 1, 2 and 3
    assert_wal_back_by_hand(site, backed_up=2)
