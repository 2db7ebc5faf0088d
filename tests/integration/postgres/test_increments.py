"""A chain of copies of a whole server: what it adds, when a copy is a full one, and what is wrong
with a chain is found before a server starts on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from drd.errors import RepositoryDamaged
from drd.flows.backup.earlier_copy import StoredEarlier
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.physical import increments
from drd.kinds.postgres.physical.by_hand import by_hand
from drd.kinds.postgres.physical.chain import made, room
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.landed import programs_of, proven
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Earlier, EarlierIncomplete, NoEarlier, TakenOver, Tree, Workplace, no_progress
from tests.conftest import _run_directory
from tests.postgres_support import workplace
from tests.repository_support import local_repository
from tests.restic_support import Restic
from tests.servers import PostgresServer, postgres_server, short_directory


class Chain(NamedTuple):
    """A server, and three copies of it: a full one and two incremental ones. The last one was
    restored to `landing`, and nothing has touched it yet."""

    server: PostgresServer
    component: Component
    restic: Restic
    snapshots: list[ComponentSnapshot]
    landing: Path

    @property
    def newest(self) -> ComponentSnapshot:
        return self.snapshots[-1]


def _component(server: PostgresServer, **more: Any) -> Component:
    settings = {"kind": "postgres-cluster", "dsn": server.dsn("shop"), **more}
    return Component("server", "postgres-cluster", ClusterSettings.model_validate(settings))


def _earlier(
    restic: Restic, snapshot: ComponentSnapshot, point: str = "20261129t120000-aaaa"
) -> Earlier:
    return StoredEarlier(point, "local", snapshot, restic.repository)


def _copy(
    component: Component, restic: Restic, work: Path, earlier: Earlier | NoEarlier
) -> ComponentSnapshot:
    source = ClusterKind().source(component, workplace(work))
    source.build_on(earlier)
    with source.open() as capture:
        snapshot = restic.captured("server", "postgres-cluster", capture)
    assert list(work.iterdir()) == []
    return snapshot


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with (
        short_directory(_run_directory()) as base,
        postgres_server(base / "pg", major=17) as server,
    ):
        server.execute("alter system set summarize_wal = on")
        server.execute("select pg_reload_conf()")
        owner = server.data_dir.stat()
        for name in ("fast", "later"):
            (server.directory / name).mkdir()
            os.chown(server.directory / name, owner.st_uid, owner.st_gid)
        server.execute("create database shop")
        server.execute(f"create tablespace fast location '{server.directory}/fast'")
        server.execute("create table orders as select generate_series(1, 90000) as n", "shop")
        server.execute("create table moved tablespace fast as select 1 as n", "shop")
        component = _component(server)
        (base / "restic").mkdir()
        restic = Restic(base / "restic")
        snapshots = [_copy(component, restic, base / "w", NoEarlier("it is the first"))]
        server.execute("update orders set n = 0 where n = 5", "shop")
        server.execute(f"create tablespace later location '{server.directory}/later'")
        server.execute("create table new tablespace later as select 7 as n", "shop")
        snapshots.append(_copy(component, restic, base / "w", _earlier(restic, snapshots[0], "a")))
        server.execute("update orders set n = 1 where n = 6", "shop")
        server.execute("insert into moved values (2)", "shop")
        snapshots.append(_copy(component, restic, base / "w", _earlier(restic, snapshots[1], "b")))
        # Nothing of the last one depends on the others.
        restic.repository.forget([str(s.snapshot) for s in snapshots[:2]])
        restic.repository.prune()
        landing = base / "landing"
        landing.mkdir()
        restic.restore(str(snapshots[-1].snapshot), landing)
        yield Chain(server, component, restic, snapshots, landing)


def test_an_incremental_copy_names_its_chain_and_adds_little(chain: Chain) -> None:
    full, first, second = chain.snapshots
    assert made(full.facts) == "full copy, because it is the first"
    assert made(second.facts) == "incremental copy 2 after the full copy of a"
    parts = second.facts["chain"]
    assert [p["point"] for p in parts] == ["a", "b"]
    assert [p["snapshot"] for p in parts] == [full.snapshot, first.snapshot]
    assert [p["manifest_digest"] for p in parts] == [
        full.facts["manifest_digest"],
        first.facts["manifest_digest"],
    ]
    assert second.facts["start_lsn"] > parts[1]["end_lsn"] >= parts[1]["start_lsn"]
    ClusterKind().require_written(second, {})
    wal = 32 << 20
    assert abs(second.facts["cluster_bytes"] - full.facts["cluster_bytes"]) < wal
    assert room(second.facts) > second.facts["cluster_bytes"] + full.facts["cluster_bytes"] - wal


def test_a_drill_makes_one_server_of_the_chain(chain: Chain, short_tmp: Path) -> None:
    work = workplace(short_tmp / "s")
    sandbox = ClusterKind().sandbox(chain.component, chain.newest, work)
    try:
        chain.restic.restore(str(chain.newest.snapshot), sandbox.landing())
        done = sandbox.restore(chain.newest, {}, on_progress=no_progress)
        assert done.differences == ()
        assert "(incremental copy 2 after the full copy of a)" in done.reached
        assert done.facts["incremental"]
        assert [p["point"] for p in done.facts["chain"]] == ["a", "b"]
        asked = sandbox.inspector()
        sums = "select (select sum(n) from orders), (select sum(n) from moved), (select n from new)"
        assert [
            asked.scalar(f"select x[{i}] from (select array[a, b, c] x from ({sums}) y(a, b, c)) z")
            for i in (1, 2, 3)
        ] == [90000 * 90001 // 2 - 5 - 5, 3, 7]
        found = asked.fingerprint(chain.newest.fingerprint, 60.0)
        assert found.tables == chain.newest.fingerprint.tables
    finally:
        sandbox.close()


def test_a_person_restores_a_chain_by_hand(chain: Chain, short_tmp: Path) -> None:
    target = ClusterTarget.model_validate({"data_dir": str(short_tmp / "back")})
    hand = by_hand(chain.component, target, place="", resolve=lambda r: str(r.value))
    (short_tmp / "manifest.json").write_text(json.dumps({"components": [chain.newest.to_json()]}))
    functions = f"""\
set -Eeuo pipefail
restic() {{ command restic --no-cache -r {chain.restic.repository.url} "$@" >/dev/null; }}
snapshot() {{ echo {chain.newest.snapshot}; }}
fact() {{ jq -er --arg f "$2" '.components[0].facts[$f]' manifest.json; }}
"""
    asked = f"{hand.ask} 'select n from new'\n"
    script = functions + "".join(p.commands for p in hand.passages) + asked + "stop_server\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=short_tmp,
        env={**os.environ, "RESTIC_PASSWORD": "a password"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "shop.public.orders: 90000 rows" in done.stdout
    assert done.stdout.split()[-1] == "7"


def _flip(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(200)
        opened.write(b"\xff" * 50)


def _biggest(data: Path, pattern: str) -> Path:
    return max((p for p in data.glob(pattern) if p.is_file()), key=lambda p: p.stat().st_size)


def _swapped(top: Path) -> None:
    (top / "increments/1").rename(top / "increments/x")
    (top / "increments/2").rename(top / "increments/1")
    (top / "increments/x").rename(top / "increments/2")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a page of the full copy": (lambda t: _flip(_biggest(t / "data", "base/*/[0-9]*")), "checksum"),
    "blocks of an earlier increment": (
        lambda t: _flip(_biggest(t / "increments/1/data", "base/*/INCREMENTAL.*")),
        "checksum",
    ),
    "a missing parent": (lambda t: shutil.rmtree(t / "increments/1"), "does not contain"),
    "a missing full copy": (lambda t: shutil.rmtree(t / "data"), "does not contain"),
    "an increment too many": (lambda t: (t / "increments/3").mkdir(), "contains increments/3"),
    "a wrong parent": (_swapped, "not the file that drd stored"),
    "a link in an earlier copy": (
        lambda t: (t / "increments/1/data/base/1/9").symlink_to("/etc/passwd"),
        "neither a file nor a",
    ),
    "lost WAL": (lambda t: _biggest(t / "increments/2/data", "pg_wal/0*").unlink(), "WAL parsing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_a_chain_is_found(
    chain: Chain, short_tmp: Path, place: Workplace, damage: str
) -> None:
    landed = short_tmp / "room"
    shutil.copytree(chain.landing, landed, symlinks=True)
    spoil, words = DAMAGES[damage]
    spoil(landed / "cluster")
    with pytest.raises(RepositoryDamaged) as caught:
        proven(landed, chain.newest, programs_of(chain.newest, None), place)
    assert words in caught.value.message
    assert str(landed) not in caught.value.message


def test_copies_that_do_not_fit_together_are_refused(
    chain: Chain, short_tmp: Path, place: Workplace
) -> None:
    """Each copy is whole, and the facts agree, but one is missing between them."""
    landed = short_tmp / "room"
    shutil.copytree(chain.landing, landed, symlinks=True)
    shutil.rmtree(landed / "cluster/increments/1")
    (landed / "cluster/increments/2").rename(landed / "cluster/increments/1")
    facts = {**chain.newest.facts, "chain": chain.newest.facts["chain"][:1]}
    with pytest.raises(RepositoryDamaged, match="do not fit together"):
        proven(landed, replace(chain.newest, facts=facts), programs_of(chain.newest, None), place)


@pytest.mark.parametrize(
    ("settings", "facts", "words"),
    [
        ({"incremental": "off"}, {}, "`incremental` of the component is off"),
        ({"incremental": {"at_most": 2}}, {}, "2 incremental copies"),
        ({"incremental": {"full_every": "0.01s"}}, {}, "is older than"),
        ({}, {"place": "/srv/x"}, "earlier version of drd"),
        ({}, {"system_identifier": "7"}, "the server is another one"),
        ({}, {"timeline": 2}, "is on timeline 1"),
        ({}, {"server_major": 16}, "PostgreSQL 16"),
        ({}, {"end_lsn": "FFFF/0"}, "was set back"),
    ],
)
def test_a_copy_is_full_when_it_cannot_build_on_the_last(
    chain: Chain, settings: dict[str, Any], facts: dict[str, Any], words: str
) -> None:
    component = _component(chain.server, **settings)
    snapshot = replace(chain.newest, facts={**chain.newest.facts, **facts})
    with closing(connect(address_of(component.settings.dsn))) as holder:
        why = increments._why_full(holder, component.settings, _earlier(chain.restic, snapshot))
    assert why is not None
    assert words in why


def test_the_first_copy_of_a_promoted_standby_is_a_full_one(chain: Chain, short_tmp: Path) -> None:
    """Also before its first checkpoint, which can take minutes: until then pg_control has the
    timeline of the former primary. A chain across timelines could not be restored."""
    standby = PostgresServer(short_tmp / "standby", major=17)
    standby.directory.mkdir()
    owner = chain.server.data_dir.stat()
    os.chown(standby.directory, owner.st_uid, owner.st_gid)
    words = [str(chain.server.bin_dir / "pg_basebackup"), "-D", str(standby.data_dir), "-R"]
    for oid, place in chain.server.execute(
        "select oid, pg_tablespace_location(oid) from pg_tablespace where oid > 16383"
    ):
        words += ["-T", f"{place}={standby.directory}/{oid}"]
    standby.as_user([*words, "-c", "fast", "-d", chain.server.dsn()])
    standby.start()
    try:
        standby.execute("alter system set checkpoint_timeout = '1d'")
        standby.execute("select pg_reload_conf()")
        chain.server.execute("update orders set n = n + 1", "shop")
        standby.execute("select pg_promote(true, 120)")
        component = _component(standby)
        earlier = _earlier(chain.restic, chain.newest, "c")
        with closing(connect(address_of(component.settings.dsn))) as holder:
            why = increments._why_full(holder, component.settings, earlier)
        assert why == "the server is on timeline 2, the earlier copy on 1"
    finally:
        standby.stop("immediate")


def test_a_chain_across_timelines_is_not_built_on(chain: Chain) -> None:
    facts = chain.newest.facts
    parts = [{**facts["chain"][0], "timeline": 3}, *facts["chain"][1:]]
    snapshot = replace(chain.newest, facts={**facts, "chain": parts})
    with closing(connect(address_of(chain.component.settings.dsn))) as holder:
        why = increments._why_full(
            holder, chain.component.settings, _earlier(chain.restic, snapshot)
        )
    assert why == "the server is on timeline 1, the earlier copy on 3"


@pytest.mark.parametrize("point", ["a", "b", "c"])
def test_a_chain_that_a_drill_could_not_restore_is_not_built_on(chain: Chain, point: str) -> None:
    earlier = StoredEarlier("c", "local", chain.newest, chain.restic.repository, {point})
    with closing(connect(address_of(chain.component.settings.dsn))) as holder:
        why = increments._why_full(holder, chain.component.settings, earlier)
    assert why == f"a drill could not restore restore point {point}, on which it would build"


def test_a_future_full_copy_is_not_built_on(chain: Chain) -> None:
    snapshot = replace(
        chain.newest,
        facts={**chain.newest.facts, "chain": []},
        data_time=datetime(9000, 1, 1, tzinfo=UTC),
    )
    with closing(connect(address_of(chain.component.settings.dsn))) as holder:
        why = increments._why_full(
            holder, chain.component.settings, _earlier(chain.restic, snapshot)
        )
    assert why == "the last full copy is dated in the future"


def test_a_snapshot_that_cannot_take_all_files_over_is_not_kept(
    chain: Chain, short_tmp: Path
) -> None:
    before = [s.id for s in chain.restic.repository.snapshots(fresh=True)]
    (short_tmp / "cluster").mkdir()
    (short_tmp / "cluster/stub").write_bytes(b"")
    earlier = TakenOver(str(chain.newest.snapshot), 1)
    with pytest.raises(EarlierIncomplete, match="0 of 1 files"):
        chain.restic.store(Tree(("cluster",), below=str(short_tmp), earlier=earlier))
    assert [s.id for s in chain.restic.repository.snapshots(fresh=True)] == before


def test_a_snapshot_is_not_kept_if_the_repository_has_lost_data_that_it_should_take_over(
    chain: Chain, short_tmp: Path
) -> None:
    """restic would read the files again, and store zeros: they have no data here."""
    shutil.copytree(chain.restic.repository.url, short_tmp / "restic/repository")
    lacking = local_repository(short_tmp / "restic")
    packs = (p for p in (short_tmp / "restic/repository/data").rglob("*") if p.is_file())
    max(packs, key=lambda p: p.stat().st_size).unlink()
    subprocess.run(
        ["restic", "-q", "--no-cache", "-r", lacking.url, "repair", "index"],
        env={**os.environ, "RESTIC_PASSWORD": "a password"},
        check=True,
        capture_output=True,
    )
    source = ClusterKind().source(chain.component, workplace(short_tmp / "w"))
    source.build_on(StoredEarlier("c", "local", chain.newest, lacking))
    with source.open() as capture:
        assert capture.facts["chain"]
        with pytest.raises(EarlierIncomplete, match="lacks data of the earlier snapshot"):
            lacking.store(capture.payload, host="test", tags=["test"])
        lacking.forget([str(chain.newest.snapshot)])
        with pytest.raises(EarlierIncomplete, match="not in the repository any more"):
            lacking.store(capture.payload, host="test", tags=["test"])
    assert lacking.snapshots(fresh=True) == []


def _lose_summaries(server: PostgresServer) -> None:
    """Let the server have neither summaries nor the WAL from which it could make them again."""
    for wanted in ("off", "on"):
        server.execute(f"alter system set summarize_wal = {wanted}")
        server.execute("select pg_reload_conf()")
        while wanted == "off" and server.execute(
            "select 1 from pg_stat_activity where backend_type = 'walsummarizer'"
        ):
            time.sleep(0.05)
        for _ in range(2):
            server.execute("select pg_switch_wal()")
            server.execute("checkpoint")
        for summary in (server.data_dir / "pg_wal/summaries").iterdir():
            if wanted == "off":
                summary.unlink()


def test_a_full_copy_follows_when_the_last_is_gone_changed_or_not_summarized(
    chain: Chain, short_tmp: Path
) -> None:
    forged = replace(chain.newest, facts={**chain.newest.facts, "manifest_digest": "0" * 64})
    found = _copy(chain.component, chain.restic, short_tmp / "w", _earlier(chain.restic, forged))
    assert "is not the file that drd stored" in made(found.facts)
    gone = _earlier(chain.restic, chain.snapshots[0])
    found = _copy(chain.component, chain.restic, short_tmp / "w", gone)
    assert "drd cannot read restore point" in made(found.facts)
    _lose_summaries(chain.server)
    last = _earlier(chain.restic, chain.newest)
    found = _copy(chain.component, chain.restic, short_tmp / "w", last)
    assert "the server refused an incremental copy" in made(found.facts)
    assert "WAL summaries are required" in made(found.facts)
    ClusterKind().require_written(found, {})
