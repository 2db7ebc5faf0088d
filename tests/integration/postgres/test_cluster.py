"""A copy of a whole server: what is wrong with it is found before a server starts on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from drd.errors import RepositoryDamaged, SandboxUnavailable, SourceError, SourceUnreachable
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical import source as source_module
from drd.kinds.postgres.physical.by_hand import by_hand
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.landed import programs_of, proven
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.ports import Workplace, no_progress
from tests.conftest import _run_directory
from tests.integration.postgres.test_variants import standby_of
from tests.postgres_support import workplace
from tests.restic_support import Restic
from tests.servers import PostgresServer, postgres_server, short_directory


class Copied(NamedTuple):
    """A server, and a restored copy of it that nothing has touched yet."""

    server: PostgresServer
    component: Component
    snapshot: ComponentSnapshot
    restic: Restic
    landing: Path


def _component(server: PostgresServer, dsn: str = "") -> Component:
    settings = {"kind": "postgres-cluster", "dsn": dsn or server.dsn("shop")}
    return Component("server", "postgres-cluster", ClusterSettings.model_validate(settings))


@pytest.fixture(scope="module")
def copied() -> Iterator[Copied]:
    with (
        short_directory(_run_directory()) as base,
        postgres_server(base / "pg", major=17) as server,
    ):
        server.stop()
        server.as_user([str(server.bin_dir / "pg_checksums"), "--enable", str(server.data_dir)])
        server.start()
        (server.directory / "fast").mkdir()
        owner = server.data_dir.stat()
        os.chown(server.directory / "fast", owner.st_uid, owner.st_gid)
        server.execute("create database shop")
        server.execute(f"create tablespace fast location '{server.directory}/fast'")
        server.execute("create table orders as select generate_series(1, 900) as n", "shop")
        server.execute("create table moved tablespace fast as select 1 as n", "shop")
        component = _component(server)
        (base / "restic").mkdir()
        restic = Restic(base / "restic")
        with ClusterKind().source(component, workplace(base / "w")).open() as capture:
            snapshot = restic.captured("server", "postgres-cluster", capture)
        landing = base / "landing"
        landing.mkdir()
        restic.restore(str(snapshot.snapshot), landing)
        yield Copied(server, component, snapshot, restic, landing)


def _newest(data: Path, pattern: str) -> Path:
    return max((p for p in data.glob(pattern) if p.is_file()), key=lambda p: p.stat().st_size)


def _flip(data: Path) -> None:
    with _newest(data, "base/*/[0-9]*").open("r+b") as file:
        file.seek(200)
        file.write(b"\xff" * 50)


def _forged_manifest(data: Path) -> None:
    """Change a file, and let the manifest of pg_basebackup agree."""
    (data / "PG_VERSION").write_text("17 \n")
    (data / "backup_manifest").write_text((data / "backup_manifest").read_text() + "\n")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a page": (_flip, "checksum mismatch for file"),
    "a lost file": (lambda d: _newest(d, "base/*/[0-9]*").unlink(), "present in the manifest"),
    "a file too many": (lambda d: (d / "base/1/99999").write_text("x"), "present on disk"),
    "lost WAL": (lambda d: _newest(d, "pg_wal/0*").unlink(), "WAL parsing failed"),
    "WAL of zeros": (
        lambda d: _newest(d, "pg_wal/0*").write_bytes(bytes(16 << 20)),
        "WAL parsing failed",
    ),
    "a lost manifest": (lambda d: (d / "backup_manifest").unlink(), "not the file that drd stored"),
    "a forged manifest": (_forged_manifest, "not the file that drd stored"),
    "a link": (lambda d: (d / "base/1/99999").symlink_to("/etc/passwd"), "neither a file nor a"),
    "a link as a tablespace": (lambda d: (d / "pg_tblspc/99999").symlink_to("/etc"), "neither a"),
    "a link as the WAL": (
        lambda d: (shutil.rmtree(d / "pg_wal"), (d / "pg_wal").symlink_to("/etc")),
        "neither a file nor a",
    ),
    "a pipe": (lambda d: os.mkfifo(d / "base/1/99999"), "neither a file nor a"),
    "no tablespace": (
        lambda d: shutil.rmtree(d.parent / "tablespaces"),
        "does not contain the tablespaces",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_before_a_server_starts(
    copied: Copied, short_tmp: Path, place: Workplace, damage: str
) -> None:
    room = short_tmp / "room"
    shutil.copytree(copied.landing, room, symlinks=True)
    spoil, words = DAMAGES[damage]
    spoil(Path(f"{room}{copied.snapshot.facts['place']}") / "data")
    programs = programs_of(copied.snapshot, None)
    with pytest.raises(RepositoryDamaged) as caught:
        proven(room, copied.snapshot, programs, place)
    assert words in caught.value.message
    assert str(room) not in caught.value.message
    assert "drd points PLAN" in caught.value.hint


def test_a_copy_that_was_put_elsewhere_by_a_link_is_refused(
    copied: Copied, short_tmp: Path, place: Workplace
) -> None:
    room = short_tmp / "room"
    top = room / copied.snapshot.facts["place"].split("/")[1]
    room.mkdir()
    top.symlink_to("/etc")
    with pytest.raises(RepositoryDamaged, match="without the files of the server"):
        proven(room, copied.snapshot, programs_of(copied.snapshot, None), place)


def test_only_the_same_major_version_runs_the_files(copied: Copied) -> None:
    older = replace(copied.snapshot, facts={**copied.snapshot.facts, "server_major": 16})
    with pytest.raises(SandboxUnavailable) as caught:
        programs_of(older, None)
    assert "no PostgreSQL 16: only the same major version can run the files" in str(caught.value)
    assert "apt-get install postgresql-16" in caught.value.hint


def test_a_page_that_is_damaged_in_the_server_is_not_backed_up(
    copied: Copied, place: Workplace
) -> None:
    server = copied.server
    server.execute("create table spoilt as select generate_series(1, 900) as n", "shop")
    ((path,),) = server.execute("select pg_relation_filepath('spoilt')", "shop")
    server.stop()
    with (server.data_dir / path).open("r+b") as file:
        file.seek(200)
        file.write(b"\xff" * 50)
    server.start()
    try:
        with (
            pytest.raises(SourceError) as caught,
            ClusterKind().source(copied.component, place).open(),
        ):
            pass
        assert "pg_basebackup found damaged pages in the server" in caught.value.message
        assert caught.value.permanent
        assert list(place.directory.iterdir()) == []
    finally:
        server.execute("drop table spoilt", "shop")


def test_what_changes_during_a_backup_is_not_compared(
    copied: Copied, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A session that has ended has told the server all that it changed.
    monkeypatch.setattr(source_module, "_FLUSHED_S", 0.0)
    with ClusterKind().source(copied.component, place).open() as capture:
        copied.server.execute("insert into orders values (0)", "shop")
        known = capture.fingerprint()
        stored = replace_bytes(copied, capture.facts["cluster_bytes"])
        seen = capture.verify(stored, known)
    assert isinstance(seen, DatabaseFingerprint)
    assert seen.not_reached == {"shop.public.orders": contents.CHANGED}
    assert seen.tables["shop.public.moved"].rows == 1


def replace_bytes(copied: Copied, count: int) -> Any:
    return replace(copied.snapshot, bytes=count)


def _asked(copied: Copied, place: Workplace, **more: str) -> Any:
    target = ClusterTarget.model_validate({"data_dir": str(copied.server.data_dir), **more})
    inspector = ClusterKind().target(copied.component, target, place).inspector()
    return inspector.scalar("select count(*) from orders")


def test_checks_ask_the_server_that_somebody_has_started(
    copied: Copied, target_server: PostgresServer, place: Workplace
) -> None:
    assert _asked(copied, place, dsn=copied.server.dsn("shop")) > 0
    target_server.execute("create database shop")
    with pytest.raises(SourceUnreachable, match="is not the server that runs in"):
        _asked(copied, place, dsn=target_server.dsn("shop"))
    with pytest.raises(SourceUnreachable, match="does not say how to reach it"):
        _asked(copied, place)
    with pytest.raises(SourceUnreachable, match="cannot connect"):
        _asked(copied, place, dsn="postgresql://postgres@127.0.0.1:9/shop")


def test_a_standby_is_backed_up_and_drilled(
    copied: Copied, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without full pages in the WAL, a server refuses copies of its standbys.
    settings = PostgresServer._settings
    monkeypatch.setattr(
        PostgresServer, "_settings", lambda s: [x for x in settings(s) if "full_page" not in x]
    )
    with (
        short_directory(_run_directory()) as base,
        postgres_server(base / "primary", major=17) as primary,
    ):
        primary.execute("create table moved as select 1 as n")
        with standby_of(primary) as address:
            component = _component(primary, f"{address} dbname=postgres")
            source = ClusterKind().source(component, workplace(short_tmp / "w"))
            with source.open() as capture:
                # The counters of a standby do not move when it replays changes.
                primary.execute("insert into moved values (2)")
                with psycopg.connect(f"{address} dbname=postgres", autocommit=True) as standby:
                    while standby.execute("select count(*) from moved").fetchone() != (2,):
                        time.sleep(0.05)
                snapshot = copied.restic.captured("server", "postgres-cluster", capture)
    assert snapshot.facts["standby"]
    assert snapshot.fingerprint.tables == {}
    assert "the standby replayed" in snapshot.fingerprint.not_reached["postgres.public.moved"]
    work = workplace(short_tmp / "s")
    sandbox = ClusterKind().sandbox(component, snapshot, work)
    try:
        copied.restic.restore(str(snapshot.snapshot), sandbox.landing())
        done = sandbox.restore(snapshot, {}, on_progress=no_progress)
        assert done.differences == ()
        assert sandbox.inspector().scalar("select count(*) from moved") == 1
        with pytest.raises(SourceError):
            sandbox.inspector().database("nowhere").scalar("select 1")
    finally:
        sandbox.close()


def test_a_person_restores_it_by_hand(copied: Copied, short_tmp: Path) -> None:
    target = ClusterTarget.model_validate({"data_dir": str(short_tmp / "back")})
    hand = by_hand(copied.component, target, place="", resolve=lambda r: str(r.value))
    manifest = {"components": [copied.snapshot.to_json()]}
    (short_tmp / "manifest.json").write_text(json.dumps(manifest))
    functions = f"""\
set -Eeuo pipefail
restic() {{ command restic --no-cache -r {copied.restic.repository.url} "$@" >/dev/null; }}
snapshot() {{ echo {copied.snapshot.snapshot}; }}
fact() {{ jq -er --arg f "$2" '.components[0].facts[$f]' manifest.json; }}
"""
    asked = f"{hand.ask} 'select sum(n) from orders'; PGDATABASE=postgres {hand.ask} 'show port'\n"
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
    assert "shop.public.orders: 900 rows" in done.stdout
    assert done.stdout.split()[-2:] == ["405450", "55432"]
    assert (short_tmp / "back/pg_tblspc").is_dir()
    assert not (short_tmp / "back/postmaster.pid").exists()
