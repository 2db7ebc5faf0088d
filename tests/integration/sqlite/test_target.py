"""Named files as targets: complete or as before, whatever happens in between."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path

import pytest

from drd.errors import RepositoryDamaged, TargetError, TargetNotEmpty
from drd.kinds.sqlite.settings import SqliteTarget
from drd.model.single_item import Part
from drd.ports import Workplace, no_progress
from drd.process import group_name, user_name
from tests.account_support import host_with
from tests.death_support import Died, every_death
from tests.integration.sqlite.support import (
    KIND,
    ask,
    component,
    make,
    restore_components,
    take,
    target,
)
from tests.restic_support import place
from tests.user_support import NOBODY, acting_as, as_root

ROWS = "SELECT count(*) FROM t"


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.fixture
def live(short_tmp: Path) -> Path:
    return make(
        short_tmp / "live.db", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2)", journal="wal"
    )


def old_database(directory: Path) -> Path:
    """One in WAL mode whose -wal file holds rows that the main file does not."""
    path = make(directory / "new.db", "CREATE TABLE old (x)", journal="wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO old VALUES (1)")
        kept = {p: p.read_bytes() for p in directory.glob("new.db*")}
    for file, data in kept.items():
        file.write_bytes(data)
    assert (directory / "new.db-wal").stat().st_size > 0
    return path


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def test_mode_and_owner_of_the_source_come_back(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    live.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(live, 1234, 4321)
    snapshot, data = take(live, work)
    new = short_tmp / "t" / "new.db"
    new.parent.mkdir()
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=False)
    restore_components(destination, snapshot, data)
    info = new.stat()
    assert stat.S_IMODE(info.st_mode) == 0o640
    assert (info.st_uid, info.st_gid) == (live.stat().st_uid, live.stat().st_gid)
    assert ask(new, "PRAGMA journal_mode") == "wal"


def test_the_old_wal_never_meets_the_new_database(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, data = take(live, work)
    directory = short_tmp / "t"
    directory.mkdir()
    new = old_database(directory)
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=True)
    restore_components(destination, snapshot, data)
    assert names(directory) == ["new.db"]
    assert ask(new, ROWS) == 2
    assert ask(new, "PRAGMA integrity_check") == "ok"


@pytest.mark.parametrize("what", ["nothing", "zero bytes", "no tables"])
def test_an_empty_target_is_replaced_without_asking(
    what: str, short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, data = take(live, work)
    new = short_tmp / "new.db"
    if what == "zero bytes":
        new.touch()
    elif what == "no tables":
        make(new, "CREATE TABLE gone (x)", "DROP TABLE gone")
    destination = target(new, work)
    assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
    restore_components(destination, snapshot, data)
    assert ask(new, ROWS) == 2


def test_a_file_that_is_not_a_database_counts_as_content(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, _ = take(live, work)
    (short_tmp / "new.db").write_text("minutes of a meeting" * 100)
    with pytest.raises(TargetNotEmpty, match="is not empty, and drd could not read it as"):
        target(short_tmp / "new.db", work).preflight(snapshot, overwrite=False)
    (short_tmp / "dir.db").mkdir()
    with pytest.raises(TargetError, match="is not a file"):
        target(short_tmp / "dir.db", work).preflight(snapshot, overwrite=False)


def test_a_missing_directory_is_a_finding_with_a_command(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, _ = take(live, work)
    (finding,) = target(short_tmp / "no such" / "new.db", work).preflight(snapshot, overwrite=False)
    assert finding.failed
    command = shlex.split(finding.remedy.splitlines()[0].removeprefix("as root: "))
    user, group = user_name(os.geteuid()), group_name(os.getegid())
    made = ["install", "-d", "-o", user, "-g", group, "-m", "0755", f"{short_tmp}/no such"]
    assert command == made


def test_a_symlink_at_the_target_stays_and_its_file_is_replaced(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, data = take(live, work)
    (short_tmp / "disk").mkdir()
    link = short_tmp / "new.db"
    link.symlink_to("disk/real.db")
    destination = target(link, work)
    destination.preflight(snapshot, overwrite=False)
    restore_components(destination, snapshot, data)
    assert link.is_symlink()
    assert ask(short_tmp / "disk" / "real.db", ROWS) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_bytes_leave_the_target_as_it_was(
    damage: str, short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, data = take(live, work)
    new = make(short_tmp / "new.db", "CREATE TABLE old (x)")
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=True)
    landed = destination.landing() / "db.sqlite"
    if damage == "flipped":
        landed.write_bytes(data[:4096] + b"\xff" * 100 + data[4196:])
    elif damage == "truncated":
        landed.write_bytes(data[:-4096])
    with pytest.raises(RepositoryDamaged):
        destination.restore(snapshot, {}, on_progress=no_progress)
    assert ask(new, "SELECT count(*) FROM old") == 0
    KIND.sweep(work.directory)
    assert names(short_tmp) == ["live.db", "live.db-shm", "live.db-wal", "new.db", "w"]


def test_killed_anywhere_and_run_again_the_end_is_the_same(short_tmp: Path, live: Path) -> None:
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        (base / "t").mkdir(parents=True)
        work = place(base / "w")
        snapshot, data = take(live, work)
        new = old_database(base / "t")
        target(new, work).preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(target(new, work), snapshot, data)
        again = target(new, work)
        restore_components(again, snapshot, data)
        assert names(base / "t") == ["new.db"], death.effect
        assert again.inspector().scalar(ROWS) == 2
        assert not any(f.failed for f in again.preflight(snapshot, overwrite=False))


def test_killed_anywhere_and_run_again_what_was_there_is_kept_with_its_wal(
    short_tmp: Path, live: Path
) -> None:
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        (base / "t").mkdir(parents=True)
        work = place(base / "w", "4f2a1c3e")
        snapshot, data = take(live, work)
        new = old_database(base / "t")
        first, again = (target(new, work, keep=True) for _ in range(2))
        first.preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(first, snapshot, data)
        restore_components(again, snapshot, data)
        assert again.inspector().scalar(ROWS) == 2
        kept = KIND.kept(component(new), SqliteTarget(path=str(new)), None, work.run)
        kept.swap(back=True)
        assert ask(new, "SELECT count(*) FROM old") == 1, death.effect
        kept.discard()
        assert not [n for n in names(base / "t") if "drd" in n], death.effect


def test_killed_anywhere_and_swept_the_target_is_old_or_new_but_whole(
    short_tmp: Path, live: Path
) -> None:
    seen = set()
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        (base / "t").mkdir(parents=True)
        work = place(base / "w")
        snapshot, data = take(live, work)
        new = old_database(base / "t")
        target(new, work).preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(target(new, work), snapshot, data)
        KIND.sweep(work.directory)
        left = names(base / "t")
        if left == ["new.db"]:
            assert ask(new, ROWS) == 2, death.effect
            seen.add("new")
        else:
            assert left == ["new.db", "new.db-shm", "new.db-wal"], death.effect
            assert ask(new, "SELECT count(*) FROM old") == 1, death.effect
            seen.add("old")
    assert seen == {"new", "old"}


def test_a_database_that_appears_during_an_interrupted_recovery_is_not_lost(
    short_tmp: Path, work: Workplace, live: Path
) -> None:
    snapshot, data = take(live, work)
    (short_tmp / "t").mkdir()
    new = old_database(short_tmp / "t")
    for death in every_death():
        target(new, work).preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(target(new, work), snapshot, data)
        if not new.exists():
            break
    make(new, "CREATE TABLE theirs (x)")
    with pytest.raises(TargetError, match="exists again"):
        restore_components(target(new, work), snapshot, data)
    assert ask(new, "SELECT count(*) FROM theirs") == 0


@as_root
def test_a_user_who_cannot_give_files_away_is_asked_for_no_owner(
    short_tmp: Path, live: Path
) -> None:
    snapshot, data = take(live, place(short_tmp / "w0"))
    work = place(short_tmp / "w")
    (short_tmp / "t").mkdir()
    for directory in (work.directory, short_tmp / "t"):
        os.chown(directory, NOBODY, NOBODY)
    new = short_tmp / "t" / "new.db"
    with acting_as(NOBODY):
        (bad,) = [f for f in target(new, work).preflight(snapshot, overwrite=False) if f.failed]
        assert "--no-owner" in bad.remedy
        accepted = target(new, work, no_owner=True)
        assert not any(f.failed for f in accepted.preflight(snapshot, overwrite=False))
        restore_components(accepted, snapshot, data)
        assert accepted.inspector().scalar(ROWS) == 2
    assert new.stat().st_uid == NOBODY


@as_root
@pytest.mark.parametrize("of_root", [True, False])
def test_checks_leave_no_files_that_keep_the_application_from_writing(
    short_tmp: Path, work: Workplace, live: Path, of_root: bool
) -> None:
    """The application gets its directory after the recovery, or has it already."""
    os.chown(live, NOBODY, NOBODY)
    snapshot, data = take(live, work)
    short_tmp.chmod(0o755)
    new = short_tmp / "t" / "new.db"
    new.parent.mkdir(mode=0o755)
    if not of_root:
        os.chown(new.parent, NOBODY, NOBODY)
    destination = target(new, work)
    told = [f for f in destination.preflight(snapshot, overwrite=False) if f.severity != "ok"]
    assert [(f.code, f.severity, f.remedy) for f in told] == (
        [("target-directory", "warning", f"chown nobody {new.parent}")] if of_root else []
    )
    restore_components(destination, snapshot, data)
    assert [(t.code, t.command) for t in destination.left_to_do(snapshot)] == [
        (f.code, f.remedy) for f in told
    ]
    inspector = destination.inspector()
    assert inspector.scalar(ROWS) == 2
    assert inspector.fingerprint(snapshot.fingerprint, 60) == snapshot.fingerprint
    KIND.live(component(new), Part(), snapshot.fingerprint, 60)
    assert names(new.parent) == ["new.db"]
    os.chown(new.parent, NOBODY, NOBODY)
    assert destination.left_to_do(snapshot) == (), "it was done"
    with acting_as(NOBODY), closing(sqlite3.connect(new, isolation_level=None)) as application:
        application.execute("INSERT INTO t VALUES (3)")
        assert (
            KIND.target(component(new), SqliteTarget(path=str(new)), work).inspector().scalar(ROWS)
            == 3
        )
        assert names(new.parent) == ["new.db", "new.db-shm", "new.db-wal"], "they are in use"


@as_root
def test_a_database_comes_back_to_the_owner_of_the_same_name(
    short_tmp: Path, work: Workplace, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_with(monkeypatch, {4001: "tick"}, {4003: "tick"})
    os.chown(live, 4001, 4003)
    snapshot, data = take(live, work)
    new = short_tmp / "t" / "new.db"
    new.parent.mkdir(mode=0o755)
    destination = target(new, work)
    host_with(monkeypatch, {}, {})
    found = {f.code: f for f in destination.preflight(snapshot, overwrite=False)}
    assert found["accounts"].remedy.endswith("useradd --system --uid 4001 --gid tick tick")
    assert destination.left_to_do(snapshot)[0].code == "accounts"
    host_with(monkeypatch, {4101: "tick"}, {4103: "tick"})
    os.chown(new.parent, 4101, 4103)
    told = destination.preflight(snapshot, overwrite=False)
    assert [f.code for f in told if f.severity != "ok"] == []
    restore_components(destination, snapshot, data)
    info = new.stat()
    assert (info.st_uid, info.st_gid) == (4101, 4103)
    assert destination.left_to_do(snapshot) == ()
