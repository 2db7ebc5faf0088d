"""Throw-away servers: as an unprivileged user, out of everybody's reach, and gone afterwards."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from drd.errors import SandboxUnavailable, SourceError, TargetError
from drd.flows.drill.people import Counted, counted_by
from drd.kinds.postgres import template
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.server import ThrowAwayServer, sandbox_programs
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Destination, Workplace, no_progress
from tests.conftest import _run_directory
from tests.postgres_support import (
    KIND,
    Backup,
    back_up,
    component,
    fetch,
    needs_15,
    restore_components,
    workplace,
)
from tests.servers import PostgresServer, postgres_server, short_directory


@pytest.fixture(scope="module")
def backup(source_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    source_server.execute("CREATE ROLE seller")
    source_server.execute("CREATE DATABASE shop OWNER seller")
    source_server.execute(
        "CREATE TABLE orders AS SELECT n AS id, 'order ' || n AS what FROM generate_series(1, "
        "500) n;"
        'CREATE TABLE "odd ""name""" (x int)',
        "shop",
    )
    with short_directory(_run_directory()) as path:
        place = workplace(path / "w")
        file = tmp_path_factory.mktemp("dump") / "dump"
        return back_up(component(source_server.dsn("shop"), fingerprint="digest"), place, file)


def sandbox(backup: Backup, place: Workplace, **settings: object) -> Destination:
    """Made of a component whose source nobody could reach."""
    return KIND.sandbox(component("host=/nowhere dbname=x", **settings), backup.snapshot, place)


def changed(backup: Backup, **facts: object) -> Backup:
    snapshot = replace(backup.snapshot, facts={**backup.snapshot.facts, **facts})
    return replace(backup, snapshot=snapshot)


def postmaster(place: Workplace) -> int:
    return int((place.directory / "server/data/postmaster.pid").read_text().splitlines()[0])


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_the_server_is_reached_by_its_socket_only_and_runs_unprivileged(
    backup: Backup, place: Workplace
) -> None:
    made = sandbox(backup, place)
    try:
        restore_components(made, backup)
        inspector = made.inspector()
        assert inspector.scalar("select current_setting('listen_addresses')") == ""
        assert (place.directory / "server").stat().st_mode & 0o777 == 0o700
        pid = postmaster(place)
        if os.geteuid() == 0:
            assert Path(f"/proc/{pid}").stat().st_uid != 0
        assert not list(place.directory.glob("landing"))
        asked = subprocess.run(
            ["psql", "-AtXc", "select count(*) from orders"],
            env={**os.environ, **inspector.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout == "500\n"
        assert inspector.location.startswith("postgresql://postgres@/shop?host=/")
    finally:
        made.close()
    made.close()
    assert not alive(pid)
    assert list(place.directory.iterdir()) == []


def test_rows_lost_or_changed_after_the_restore_show_in_the_fingerprint(
    backup: Backup, place: Workplace
) -> None:
    saved = backup.snapshot.fingerprint
    assert isinstance(saved, DatabaseFingerprint)
    made = sandbox(backup, place)
    try:
        restore_components(made, backup)
        inspector = made.inspector()
        address = dict(inspector.environment)
        with psycopg.connect(
            host=address["PGHOST"], port=address["PGPORT"], user=address["PGUSER"],
            dbname=address["PGDATABASE"], autocommit=True,
        ) as connection:  # fmt: skip

            def look() -> DatabaseFingerprint:
                found = inspector.fingerprint(saved, 60)
                assert isinstance(found, DatabaseFingerprint)
                return found

            assert look().tables == saved.tables
            connection.execute("UPDATE orders SET what = 'x' WHERE id = 77")
            assert look().tables["public.orders"].rows == 500
            assert look().tables != saved.tables
            connection.execute("DELETE FROM orders WHERE id = 1")
            assert look().tables["public.orders"].rows == 499
            connection.execute("DROP TABLE orders; CREATE TABLE extra (x int)")
            assert set(look().tables) == {'public."odd ""name"""', "public.extra"}
            reached = inspector.fingerprint(saved, 0.000001)
            assert isinstance(reached, DatabaseFingerprint)
            assert set(reached.not_reached) == {'public."odd ""name"""', "public.extra"}
    finally:
        made.close()


def test_queries_see_what_the_application_would_and_change_nothing(
    backup: Backup, place: Workplace
) -> None:
    made = sandbox(backup, place)
    try:
        restore_components(made, backup)
        ask = made.inspector()
        assert ask.scalar("select max(what) from orders where id = 7") == "order 7"
        assert ask.scalar("select null") is None
        assert counted_by(ask, "select count(*) from orders;") == Counted(500)
        by_kind = (
            "select case id % 2 when 0 then 'DE' else 'FR' end, count(*) from orders group by 1"
        )
        assert counted_by(ask, by_kind) == Counted(500, (("DE", 250), ("FR", 250)))
        for query, words in (
            ("delete from orders returning 1", "is not one SELECT"),
            ("select 1; select 2", "is not one SELECT"),
            ("commit; delete from orders; select 1", "is not one SELECT"),
            ("select id from orders", "more than one value"),
            ("select 1 where false", "no row"),
            ("select nothing from nowhere", "does not exist"),
        ):
            with pytest.raises(SourceError, match=words):
                ask.scalar(query)
        assert ask.scalar("select count(*) from orders") == 500
        with pytest.raises(Exception, match=r"did not finish within 0\.2s"):
            ask.scalar("select pg_sleep(5)::text", timeout_s=0.2)
    finally:
        made.close()


@needs_15
def test_a_source_of_15_comes_back_in_15_and_its_dump_in_a_newer_server_too(
    place: Workplace, short_tmp: Path
) -> None:
    with short_directory(_run_directory()) as path, postgres_server(path, major=15) as server:
        server.execute("CREATE TABLE t AS SELECT n, n / 3.0::float8 FROM generate_series(1, 50) n")
        old = back_up(component(server.dsn(), fingerprint="digest"), place, short_tmp / "dump")
    assert old.snapshot.facts["pg_dump_major"] == 15
    saved = old.snapshot.fingerprint
    assert isinstance(saved, DatabaseFingerprint)
    for settings, major in (({}, 15), ({"bin_dir": "/usr/lib/postgresql/17/bin"}, 17)):
        made = sandbox(old, place, **settings)
        try:
            restored = restore_components(made, old)
            version = made.inspector().scalar("select current_setting('server_version_num')::int")
            assert version // 10000 == major
            assert any("the source was version 15" in note for note in restored.notes) == (
                major == 17
            )
            assert restored.differences == ()
            found = made.inspector().fingerprint(saved, 60)
            assert isinstance(found, DatabaseFingerprint)
            assert found.tables == saved.tables
        finally:
            made.close()


@pytest.mark.parametrize(
    ("facts", "missing", "remedy"),
    [
        ({"server_major": 99}, "version 99", "apt-get install postgresql-99"),
        ({"extensions": {"plpgsql": "1.0", "post_gis": "3"}}, "post_gis", "postgresql-17-post-gis"),
        (
            {
                "locale": {
                    "encoding": "UTF8", "provider": "libc", "collate": "tlh_QO.UTF-8",
                    "ctype": "tlh_QO.UTF-8", "locale": None, "icu_rules": None,
                }
            },
            "tlh_QO.UTF-8",
            "locale-gen",
        ),
    ],
)  # fmt: skip
def test_missing_programs_are_named_and_nothing_is_left(
    backup: Backup, place: Workplace, facts: dict[str, object], missing: str, remedy: str
) -> None:
    made = sandbox(changed(backup, **facts), place)
    with pytest.raises(SandboxUnavailable) as caught:
        made.prepare()
    assert missing in caught.value.message
    assert remedy in caught.value.hint
    made.close()
    assert list(place.directory.iterdir()) == []


def test_a_directory_that_the_servers_user_cannot_pass_is_named(
    backup: Backup, short_tmp: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs servers as somebody else")
    closed = short_tmp / "closed"
    place = workplace(closed / "w")
    closed.chmod(0o700)
    with pytest.raises(SandboxUnavailable, match=f"cannot enter {closed}$"):
        sandbox(backup, place).prepare()
    (finding,) = KIND.sandbox_findings(component("host=/nowhere"), place)
    assert finding.failed
    assert str(closed) in finding.remedy


def test_root_without_a_user_for_servers_gets_a_remedy(backup: Backup, place: Workplace) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root is refused")
    with pytest.raises(SandboxUnavailable, match="refuses to run as root") as caught:
        sandbox(backup, replace(place, run_as=None)).prepare()
    assert "run_as" in caught.value.hint
    with pytest.raises(SandboxUnavailable, match="no_such_user"):
        sandbox(backup, replace(place, run_as="no_such_user")).prepare()


def test_a_long_path_gets_its_socket_elsewhere_and_leaves_nothing_there(
    backup: Backup, short_tmp: Path
) -> None:
    deep = short_tmp / ("d" * 60) / ("e" * 60)
    place = workplace(deep)
    made = sandbox(backup, place)
    try:
        restore_components(made, backup)
        sockets = Path(made.inspector().environment["PGHOST"])
        assert not sockets.is_relative_to(deep)
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert made.inspector().scalar("select count(*) from orders") == 500
    finally:
        made.close()
    assert not sockets.exists()
    assert list(deep.iterdir()) == []


def test_a_dump_that_was_cut_is_never_a_restored_database(backup: Backup, place: Workplace) -> None:
    made = sandbox(backup, place)
    try:
        made.prepare()
        fetch(made, backup)
        (file,) = (place.directory / "landing").iterdir()
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        with pytest.raises(TargetError, match="the dump of orders-db is cut off"):
            made.restore(backup.snapshot, backup.private, on_progress=no_progress)
        with pytest.raises(SourceError):
            made.inspector().scalar("select 1")
    finally:
        made.close()
    assert list(place.directory.iterdir()) == []


@pytest.mark.parametrize("size", ["48m", "110m"])
def test_a_full_disk_says_nothing_about_the_backup(
    source_server: PostgresServer, short_tmp: Path, tmp_path: Path, size: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    source_server.execute("DROP DATABASE IF EXISTS large WITH (FORCE)")
    source_server.execute("CREATE DATABASE large")
    source_server.execute(
        "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 10) AS x FROM generate_series(1, "
        "90000) n;CREATE INDEX ON big (x)",
        "large",
    )
    spare = workplace(short_tmp / "w")
    saved = back_up(component(source_server.dsn("large")), spare, tmp_path / "dump")
    full = short_tmp / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "drd-test", full], check=True)
    try:
        place = workplace(full / "w")
        (place.directory / "landing").symlink_to(spare.directory)
        made = sandbox(saved, place)
        try:
            shutil.copy(saved.dump, spare.directory / "orders-db.dump")
            with pytest.raises(SandboxUnavailable, match=r"[Nn]o space left") as caught:
                made.restore(saved.snapshot, saved.private, on_progress=no_progress)
            assert caught.value.hint
        finally:
            (place.directory / "landing").unlink(missing_ok=True)
            made.close()
        assert list(place.directory.iterdir()) == []
    finally:
        subprocess.run(["umount", full], check=True)


DIES = """
import sys, time
from pathlib import Path
from drd.kinds.postgres.server import ThrowAwayServer, sandbox_programs
from drd.ports import Workplace
place = Workplace(Path(sys.argv[1]), "r1", run_as=sys.argv[2] or None)
made = ThrowAwayServer(place, sandbox_programs(17, None))
made.start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def _orphans_are_ours() -> Iterator[None]:
    """Whoever loses its parent becomes a child of this process: as a child of init, in a group of
    its own, the kernel would continue what is stopped."""
    subreaper, libc = 36, ctypes.CDLL(None)
    assert libc.prctl(subreaper, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(subreaper, 0, 0, 0, 0) == 0
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if "(postgres) Z " in Path(f"/proc/{child}/stat").read_text():
            os.waitpid(int(child), 0)


@pytest.mark.usefixtures("_orphans_are_ours")
@pytest.mark.parametrize("long", [False, True])
def test_a_server_whose_drd_was_killed_ends_and_is_swept(short_tmp: Path, long: bool) -> None:
    place = workplace(short_tmp / ("d" * 90 if long else "w"))
    child = subprocess.Popen(
        [sys.executable, "-c", DIES, str(place.directory), place.run_as or ""],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    pid = postmaster(place)
    link = place.directory / "server/sockets"
    sockets = link.readlink() if link.is_symlink() else None
    assert (sockets is not None) == long
    # A postmaster that its dead parent's signal did not reach.
    os.kill(pid, signal.SIGSTOP)
    while ") T " not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.01)
    child.kill()
    child.wait()
    child.stdout.close()
    assert alive(pid)
    (said,) = KIND.sweep(place.directory)
    assert f"pid {pid}" in said
    assert not alive(pid)
    assert list(place.directory.iterdir()) == []
    assert sockets is None or not sockets.exists()
    assert KIND.sweep(place.directory) == []


def test_the_kernel_ends_the_server_of_a_killed_drd(short_tmp: Path) -> None:
    place = workplace(short_tmp / "w")
    child = subprocess.Popen(
        [sys.executable, "-c", DIES, str(place.directory), place.run_as or ""],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    pid = postmaster(place)
    child.kill()
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 60
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(pid)


def identifier(place: Workplace) -> str:
    """What initdb chose for this cluster, by which copies of it are known."""
    control = (place.directory / "server/data/global/pg_control").read_bytes()
    return control[:8].hex()


def started(place: Workplace) -> str:
    """The identifier of a server that was started there, and answered."""
    made = ThrowAwayServer(place, sandbox_programs(17, None))
    made.start()
    try:
        with connect(made.address("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        return identifier(place)
    finally:
        made.stop()


def test_the_second_server_is_a_copy_of_the_first_ones_cluster(short_tmp: Path) -> None:
    place = replace(workplace(short_tmp / "w"), shelf=short_tmp / "templates")
    first = started(place)
    assert started(place) == first
    (kept,) = (short_tmp / "templates").iterdir()
    if place.run_as is not None:
        assert kept.owner() == place.run_as
    assert kept.stat().st_mode & 0o777 == 0o700
    assert list(place.directory.iterdir()) == []


def test_a_template_that_does_not_start_is_made_anew(short_tmp: Path) -> None:
    place = replace(workplace(short_tmp / "w"), shelf=short_tmp / "templates")
    first = started(place)
    (kept,) = (short_tmp / "templates").iterdir()
    (kept / "data/global/pg_control").write_bytes(b"no control file")
    (kept / "digest").write_text(template.contents(kept / "data"))
    second = started(place)
    assert second != first
    assert started(place) == second
    assert list(place.directory.iterdir()) == []


def test_doctor_says_that_the_version_is_unknown_and_why(place: Workplace) -> None:
    (finding,) = KIND.sandbox_findings(component(f"host={place.directory} port=1"), place)
    assert finding.severity == "warning"
    assert finding.text.startswith(
        "the version of the source's server is unknown, because drd cannot ask it: "
    )
    assert "whether the sandbox of this host fits: PostgreSQL " in finding.text
    assert "failed finding" in finding.remedy
    adopted = replace(component(f"host={place.directory} port=1"), adopted=True)
    (finding,) = KIND.sandbox_findings(adopted, place)
    assert "the findings `repository` and `repository-copies`" in finding.remedy


def test_doctor_starts_a_server_like_the_sources(
    source_server: PostgresServer, place: Workplace
) -> None:
    (finding,) = KIND.sandbox_findings(component(source_server.dsn()), place)
    assert not finding.failed
    assert finding.text.startswith("PostgreSQL 17.")
    assert list(place.directory.iterdir()) == []
