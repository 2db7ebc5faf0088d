"""A catalogue that cannot be used says so in words, and says what to do."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.catalogue.damage import set_aside
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.catalogue.summary import read_facts
from drd.cli.main import main
from drd.errors import CatalogueError
from drd.model.run import RunKind, RunState
from drd.model.run_details import RunDetail
from tests.catalogue_support import at, captured, fingerprint, plan, point

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, or becomes another user")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/drd.db"


def modes(directory: Path) -> dict[str, str]:
    return {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in sorted(directory.rglob("*"))}


# --- modes ----------------------------------------------------------------------------------


def test_nobody_else_may_open_anything_whatever_the_umask(url: str, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        catalogue = open_catalogue(url, create=True)
        owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
        found = modes(tmp_path)
        catalogue.close()
    finally:
        os.umask(before)

    assert found == {
        "state": "0o700",
        "drd.db": "0o600",
        "drd.db-shm": "0o600",
        "drd.db-wal": "0o600",
        "locks": "0o700",
        f"run-{owned.run.id}.lock": "0o600",
    }


def test_a_directory_that_is_there_keeps_its_mode(url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)

    open_catalogue(url, create=True).close()

    assert modes(tmp_path)["state"] == "0o755"


# --- not there, not ours ---------------------------------------------------------------------


def test_no_catalogue_yet_says_what_makes_one(url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for attempt in (lambda: open_catalogue(url, create=False), lambda: read_facts(url)):
        with pytest.raises(CatalogueError, match="there is no catalogue of drd at /") as raised:
            attempt()
        assert (
            raised.value.hint == "no plan was loaded yet; `drd backup PLAN` creates the catalogue."
        )
    assert modes(tmp_path) == {"state": "0o755"}, "looking made nothing"


def test_a_file_without_tables_is_not_a_catalogue(url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "drd.db").touch()

    for attempt in (lambda: open_catalogue(url, create=False), lambda: read_facts(url)):
        with pytest.raises(CatalogueError, match="there is no catalogue"):
            attempt()
    catalogue = open_catalogue(url, create=True)
    assert catalogue.runs.newest() == []
    catalogue.close()


@pytest.mark.parametrize("bad", ["mysql://h/db", "sqlite://", "sqlite:///:memory:", "not a url"])
def test_only_files_and_postgresql_can_be_a_catalogue(bad: str) -> None:
    with pytest.raises(CatalogueError) as raised:
        open_catalogue(bad, create=True)
    assert "sqlite:////" in raised.value.hint


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://drd:very-secret@/drd?host={tmp_path}"

    for attempt in (
        lambda: open_catalogue(url, create=True, state_dir=tmp_path / "state"),
        lambda: read_facts(url),
    ):
        with pytest.raises(CatalogueError, match="drd cannot reach its catalogue") as raised:
            attempt()
        assert "very-secret" not in str(raised.value)
        assert "PostgreSQL runs" in raised.value.hint


@as_root
def test_a_catalogue_of_another_user_is_named(url: str, short_tmp: Path) -> None:
    """Once where the directory is closed to others, once where only the file is."""
    url = f"sqlite:///{short_tmp}/state/drd.db"
    catalogue = open_catalogue(url, create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    code = (
        "import os, sys\n"
        "from drd.catalogue.summary import read_facts\n"
        "from drd.catalogue.sql_catalogue import open_catalogue\n"
        "from drd.errors import CatalogueError\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "for attempt in (read_facts, lambda u: open_catalogue(u, create=True)):\n"
        "    try: attempt(sys.argv[1])\n"
        "    except CatalogueError as e: print(e.message.split(':')[0], '|', e.hint.split(' "
        "(')[0])\n"
    )
    expected = (
        "this user may not use drd's catalogue | only its owner and root can open it: run this "
        "command with sudo.\n" * 2
    )
    for mode in (0o700, 0o755):
        (short_tmp / "state").chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", code, url], capture_output=True, text=True, timeout=60,
            cwd=Path(__file__).parents[2], check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (expected, "")
    catalogue.close()


def test_sqlite_syncs_every_commit_to_the_disk(url: str) -> None:
    """A power cut cannot be had in a test; that SQLite syncs every commit can be asked."""
    catalogue = open_catalogue(url, create=True)
    with catalogue.database.read() as connection:
        wanted = ("journal_mode", "synchronous", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in wanted]
    catalogue.close()

    assert found == ["wal", 2, 1]


# --- full, locked, damaged -------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


@as_root
def test_a_full_disk_is_named_and_takes_nothing_back(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/state/drd.db"
    catalogue = open_catalogue(url, create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(0), components=[captured(seen=fingerprint(a=1))]))
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    ballast = fill(small_disk)

    for attempt in (
        lambda: catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1), error="x" * 200_000),
        lambda: catalogue.runs.begin(
            plan(), RunKind.BACKUP, trigger="manual", detail=RunDetail(why="y" * 200_000), at=at(1)
        ),
        lambda: catalogue.export_to(small_disk / "copy.db"),
    ):
        with pytest.raises(
            CatalogueError, match="the disk of drd's catalogue is full: /"
        ) as raised:
            attempt()
        assert "free space on this disk" in raised.value.hint
    assert sorted(p.name for p in small_disk.iterdir()) == ["ballast", "state"]
    assert len(list((small_disk / "state" / "locks").iterdir())) == 1, "the drill's, which lives"

    ballast.unlink()
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2))
    assert [p.id for p in catalogue.points.of_plan("orders-api")] == ["p1"]
    assert [r.state for r in catalogue.runs.newest()] == [RunState.SUCCEEDED]
    catalogue.close()


@as_root
def test_status_works_on_a_read_only_disk(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/state/drd.db"
    catalogue = open_catalogue(url, create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert [facts.plan for facts in read_facts(url)] == [plan().name]
    with pytest.raises(CatalogueError, match="read-only: /") as raised:
        open_catalogue(url, create=True).plans.load(plan(), file_digest="g", at=at(1))
    assert "dmesg" in raised.value.hint


@as_root
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_the_catalogue_can_be_read_on_a_full_or_read_only_disk(
    small_disk: Path,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (small_disk / "drd.yaml").write_text(f"state: sqlite:///{small_disk}/state/drd.db\n")
    monkeypatch.setenv("DRD_CONFIG", str(small_disk / "drd.yaml"))
    catalogue = open_catalogue(f"sqlite:///{small_disk}/state/drd.db", create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(0), components=[captured(seen=fingerprint(a=1))]))
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2))
    catalogue.close()
    if trouble == "full":
        fill(small_disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for words, says in (
        (["points", "orders-api"], "p1"),
        (["runs"], owned.run.id),
        (["run", "show", owned.run.id], "of orders-api: succeeded"),
        (["schedule"], "no run is scheduled"),
        (["alerts"], "no alert"),
    ):
        assert main(words) == 0
        assert says in capsys.readouterr().out


@as_root
def test_a_full_disk_lets_no_catalogue_begin(small_disk: Path) -> None:
    fill(small_disk)

    with pytest.raises(CatalogueError, match="the disk of drd's catalogue is full"):
        open_catalogue(f"sqlite:///{small_disk}/state/drd.db", create=True)


def test_a_lock_that_lasts_is_named_as_such(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drd.catalogue.engine.BUSY_S", 0.2)
    catalogue = open_catalogue(url, create=True)
    other = sqlite3.connect(tmp_path / "state" / "drd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(CatalogueError, match="has locked drd's catalogue") as raised:
        catalogue.plans.load(plan(), file_digest="f", at=at(0))

    assert not raised.value.permanent
    assert "fuser" in raised.value.hint
    assert read_facts(url) == [], "readers do not wait for writers"
    other.close()
    catalogue.close()


def filled(url: str) -> SqlCatalogue:
    catalogue = open_catalogue(url, create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    for number in range(40):
        catalogue.points.record(point(f"p{number:02}", at(number)))
    return catalogue


@pytest.mark.parametrize("damage", ["garbage", "page"])
def test_a_damaged_catalogue_names_its_copies_and_the_way_back(
    url: str, tmp_path: Path, damage: str
) -> None:
    filled(url).close()
    file = tmp_path / "state" / "drd.db"
    content = bytearray(file.read_bytes())
    if damage == "garbage":
        content[:] = b"no database at all " * 1000
    else:
        content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)
    (tmp_path / "state" / "drd.db.before-0002").touch()

    def use() -> None:
        catalogue = open_catalogue(url, create=True)
        try:
            catalogue.points.of_plan("orders-api")
        finally:
            catalogue.close()

    for attempt in (use, lambda: read_facts(url)):
        with pytest.raises(CatalogueError, match="drd's catalogue is damaged: /") as raised:
            attempt()
        assert f"{file}.before-0002" in raised.value.hint
        assert "`drd catalogue rebuild`" in raised.value.hint
    for command in re.findall(r"`((?:mkdir|find|cp) [^`]*)`", raised.value.hint):
        subprocess.run(["sh", "-c", command], check=True)
    assert file.read_bytes() == b"", "the copy that was kept"
    assert (file.parent / "aside/drd.db").exists()


def test_a_damaged_catalogue_set_aside_makes_room_for_a_new_one(url: str, tmp_path: Path) -> None:
    filled(url).close()
    file = tmp_path / "state" / "drd.db"
    file.write_bytes(b"no database at all " * 1000)

    kept = set_aside(url, at(0))

    assert kept.name == "drd.db.damaged-20261125T120000Z"
    assert kept.read_bytes().startswith(b"no database")
    catalogue = open_catalogue(url, create=True)
    assert catalogue.points.of_plan("orders-api") == []
    catalogue.close()


# --- readers beside writers ------------------------------------------------------------------


def test_readers_always_see_one_whole_state(url: str) -> None:
    """The newest point, their number and the component's size are written together."""
    catalogue = open_catalogue(url, create=True)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    writing = threading.Event()

    def write() -> None:
        for number in range(60):
            one = point(f"p{number:02}", at(number), components=[captured(size=number)])
            catalogue.points.record(one)
        writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not writing.is_set():
        [facts] = read_facts(url)
        if facts.newest is not None:
            count = facts.complete_points
            assert facts.newest.id == f"p{count - 1:02}"
            assert facts.components[0].size_bytes == facts.newest.bytes == count - 1
            seen.add(count)
    writer.join()
    catalogue.close()
    assert len(seen) > 1, "it was read while it was written"
