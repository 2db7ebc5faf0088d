"""Templates of new clusters: whole or not used, one at a time, and gone with the programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from threading import Barrier, Thread

import pytest

from drd import process
from drd.kinds.postgres import template
from drd.kinds.postgres.template import ClusterTemplate
from drd.kinds.postgres.tools import PostgresPrograms
from drd.process import Command, Completed

INITDB = Command(["initdb", "--username", "postgres"])


@pytest.fixture
def programs(tmp_path: Path) -> PostgresPrograms:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("initdb", "postgres"):
        (directory / name).write_text(name)
    return PostgresPrograms(directory, "17.2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What stands for a new cluster."""
    directory = tmp_path / "new" / "data"
    (directory / "base" / "1").mkdir(parents=True)
    (directory / "base" / "1" / "1259").write_bytes(b"catalog" * 1000)
    (directory / "pg_wal").mkdir()
    (directory / "PG_VERSION").write_text("17\n")
    directory.chmod(0o700)
    return directory


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"


def run(argv: list[str]) -> Completed:
    return process.run(Command(argv))


def kept(
    shelf: Path, programs: PostgresPrograms, data: Path, initdb: Command = INITDB
) -> ClusterTemplate:
    made = ClusterTemplate(shelf, programs, initdb, None)
    made.keep(data, run, own=lambda _: None)
    return made


def test_a_copy_is_the_cluster_with_its_modes(
    shelf: Path, programs: PostgresPrograms, data: Path, tmp_path: Path
) -> None:
    kept(shelf, programs, data)
    made = ClusterTemplate(shelf, programs, INITDB, None)
    assert made.copy(tmp_path / "copy", run)
    assert (tmp_path / "copy/base/1/1259").read_bytes() == b"catalog" * 1000
    assert (tmp_path / "copy/pg_wal").is_dir()
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700
    assert len(list(shelf.iterdir())) == 1


def test_nothing_is_copied_before_something_was_kept(
    shelf: Path, programs: PostgresPrograms, tmp_path: Path
) -> None:
    assert not ClusterTemplate(shelf, programs, INITDB, None).copy(tmp_path / "copy", run)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("damage", ["byte", "cut", "lost", "added", "digest"])
def test_a_template_that_changed_is_not_used_and_goes(
    shelf: Path, programs: PostgresPrograms, data: Path, tmp_path: Path, damage: str
) -> None:
    made = kept(shelf, programs, data)
    (home,) = shelf.iterdir()
    file = home / "data/base/1/1259"
    if damage == "byte":
        file.write_bytes(b"Catalog" + b"catalog" * 999)
    elif damage == "cut":
        file.write_bytes(b"catalog")
    elif damage == "lost":
        file.unlink()
    elif damage == "added":
        file.with_name("x").touch()
    else:
        (home / "digest").unlink()
    assert not made.copy(tmp_path / "copy", run)
    assert not (tmp_path / "copy").exists()
    assert list(shelf.iterdir()) == []


def test_an_upgrade_of_the_programs_takes_the_old_template_away(
    shelf: Path, programs: PostgresPrograms, data: Path, tmp_path: Path
) -> None:
    kept(shelf, programs, data)
    (old,) = shelf.iterdir()
    os.utime(programs.path("postgres"), ns=(1, 1))
    made = ClusterTemplate(shelf, programs, INITDB, None)
    assert not made.copy(tmp_path / "copy", run)
    made.keep(data, run, own=lambda _: None)
    (new,) = shelf.iterdir()
    assert new != old


def test_other_words_other_users_and_other_zones_have_templates_of_their_own(
    shelf: Path,
    programs: PostgresPrograms,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept(shelf, programs, data)
    kept(shelf, programs, data, Command(["initdb", "--username", "admin"]))
    assert len(list(shelf.iterdir())) == 2
    assert not ClusterTemplate(shelf, programs, INITDB, "nobody").copy(tmp_path / "copy", run)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert not ClusterTemplate(shelf, programs, INITDB, None).copy(tmp_path / "copy", run)


def test_concurrent_processes_get_complete_clusters_or_none(
    shelf: Path, programs: PostgresPrograms, data: Path, tmp_path: Path
) -> None:
    together = Barrier(4)
    wrong: list[str] = []

    def work(n: int) -> None:
        together.wait()
        for turn in range(5):
            copy = tmp_path / f"copy{n}-{turn}"
            made = ClusterTemplate(shelf, programs, INITDB, None)
            if not made.copy(copy, run):
                made.keep(data, run, own=lambda _: None)
            elif template.contents(copy) != template.contents(data):
                wrong.append(copy.name)

    threads = [Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert ClusterTemplate(shelf, programs, INITDB, None).copy(tmp_path / "last", run)


def test_incomplete_templates_of_dead_processes_are_removed(
    shelf: Path, programs: PostgresPrograms, data: Path
) -> None:
    kept(shelf, programs, data)
    (home,) = shelf.iterdir()
    dead = shelf / f".{home.name}.99999999.x1"
    alive = shelf / f".{home.name}.1.x2"
    for half in (dead, alive):
        half.mkdir()
    shutil.rmtree(home)
    kept(shelf, programs, data)
    assert sorted(shelf.iterdir()) == sorted([home, alive])


def test_where_room_is_short_nothing_is_kept(
    shelf: Path, programs: PostgresPrograms, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "ROOM_BYTES", 1 << 60)
    kept(shelf, programs, data)
    assert list(shelf.iterdir()) == []


def test_a_shelf_that_cannot_be_made_costs_no_more_than_the_template(
    shelf: Path, programs: PostgresPrograms, data: Path, tmp_path: Path
) -> None:
    shelf.write_text("a file is in the way")
    made = kept(shelf, programs, data)
    assert not made.copy(tmp_path / "copy", run)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes something of another user's")
@pytest.mark.parametrize("part", ["", "data", "digest"])
@pytest.mark.parametrize("how", ["another's", "open to others"])
def test_a_template_that_somebody_else_could_write_is_not_used_and_goes(
    shelf: Path, programs: PostgresPrograms, data: Path, part: str, how: str
) -> None:
    """Planted while a state of before was shared with a group, whose shelf is private by now."""
    made = kept(shelf, programs, data)
    [home] = shelf.iterdir()
    if how == "another's":
        os.chown(home / part, 12, 12)
    else:
        (home / part).chmod(0o770)
    copy = data.parent / "copy"
    assert not made.copy(copy, run)
    assert not copy.exists()
    assert list(shelf.iterdir()) == []
    kept(shelf, programs, data)
    assert made.copy(copy, run)
