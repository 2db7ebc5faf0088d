"""Attack: a member of the group `drd` prepares for the upgrade. Until then he could write in the
state: he gives the catalogue a second name elsewhere, puts links or files of his own in the place
of drd's, or keeps a lock. What he had got hold of stayed his, and nobody heard of it.

The first start puts it right, without losing anything of a state in which nobody did such a thing.
"""

from __future__ import annotations

import fcntl
import grp
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drd.catalogue import renewal
from drd.catalogue.renewal import renew
from drd.catalogue.sql_catalogue import open_catalogue
from drd.errors import CatalogueError
from drd.flows.state import modes
from drd.flows.state.foreign_files import findings, put_right, standing, wrong_entries
from drd.flows.state.modes import close_state
from drd.flows.state.places import StatePlaces
from tests.e2e.daemons import quick_plan
from tests.e2e.site import Site, make_tree
from tests.security.journals import MAGIC, interrupted, plant
from tests.user_support import NOBODY, as_root


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    quick_plan(site, "every: 1h, jitter: none")
    site.drd("backup", "shop")
    return site


def shared(state: Path) -> None:
    """As drd had it before."""
    for path in (state, *state.rglob("*")):
        if not path.is_symlink() and path.stat().st_uid != NOBODY:
            path.chmod(0o2770 if path.is_dir() else 0o660)


def theirs(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def second_name(state: Path, away: Path) -> None:
    (away / "drd.db").hardlink_to(state / "drd.db")


def link_to_a_catalogue(state: Path, away: Path) -> None:
    (away / "evil.db").write_bytes((state / "drd.db").read_bytes())
    theirs(away / "evil.db")
    (state / "drd.db").rename(state / "x")
    (state / "drd.db").symlink_to(away / "evil.db")
    theirs(state / "drd.db")


def own_catalogue(state: Path, away: Path) -> None:
    (away / "evil.db").write_bytes((state / "drd.db").read_bytes())
    (away / "evil.db").rename(state / "drd.db")
    theirs(state / "drd.db")


def link_to_locks(state: Path, away: Path) -> None:
    (away / "locks").mkdir()
    (state / "locks").rename(state / "former")
    (state / "locks").symlink_to(away / "locks")
    theirs(state / "locks")


def own_locks(state: Path, away: Path) -> None:
    (state / "locks").rename(away / "former")
    (state / "locks").mkdir()
    theirs(state / "locks")


def link_beside(suffix: str) -> Callable[[Path, Path], None]:
    def plant(state: Path, away: Path) -> None:
        (away / "victim").write_text("root's")
        place = state / f"drd.db{suffix}"
        place.unlink(missing_ok=True)
        place.symlink_to(away / "victim")
        theirs(place)

    return plant


def link_to_a_lock(state: Path, away: Path) -> None:
    (away / "victim").write_text("root's")
    for lock in (state / "locks").iterdir():
        lock.unlink()
        lock.symlink_to(away / "victim")
        theirs(lock)


KEPT = {
    "second name": second_name,
    "link to locks": link_to_locks,
    "own locks": own_locks,
    "link as a log": link_beside("-wal"),
    "link as an index": link_beside("-shm"),
    "link as a journal": link_beside("-journal"),
    "link as a lock": link_to_a_lock,
    "nothing: the twin": lambda state, away: None,
}


def whose(state: Path) -> list[str]:
    """What of drd's names is not of one owner, one name, and closed."""
    found = []
    for path in (
        state,
        state / "drd.db",
        *state.glob("drd.db-*"),
        *state.glob("locks"),
        *state.glob("locks/*"),
    ):
        info = path.lstat()
        plain = path.is_dir() or info.st_nlink == 1
        if path.is_symlink() or not plain or info.st_uid != 0 or info.st_mode & 0o7077:
            found.append(str(path))
    return found


@as_root
@pytest.mark.parametrize("how", KEPT)
def test_files_left_by_a_group_member_are_fixed_without_loss(
    site: Site, short_tmp: Path, how: str
) -> None:
    state, away = site.base / "state", short_tmp / "away"
    away.mkdir()
    shared(state)
    KEPT[how](state, away)

    assert len(site.points()) == 1
    site.drd("backup", "shop")

    assert whose(state) == []
    assert len(site.points()) == 2
    if (away / "victim").exists():
        assert (away / "victim").read_text() == "root's"
    if (away / "drd.db").exists():
        with closing(sqlite3.connect(away / "drd.db")) as member:
            member.execute("UPDATE runs SET plan = 'evil'")
            member.commit()
        assert len(site.points()) == 2


@as_root
@pytest.mark.parametrize("how", [link_to_a_catalogue, own_catalogue])
def test_a_group_members_catalogue_is_not_trusted(
    site: Site, short_tmp: Path, how: Callable[[Path, Path], None]
) -> None:
    state, away = site.base / "state", short_tmp / "away"
    away.mkdir()
    shared(state)
    how(state, away)

    told = site.drd("backup", "shop")

    (aside,) = state.glob("drd.db.not-ours-*")
    assert str(aside) in told.err
    assert "catalogue rebuild" in told.err
    assert whose(state) == []
    doctored = site.drd("doctor", "shop", "--json", code=1).json
    bad = [i for i in doctored["items"] if not i["ok"]]
    assert [str(aside) in i["detail"] for i in bad] == [True]
    assert len(site.points()) == 1
    site.drd("catalogue", "rebuild", "shop")
    assert len(site.points()) == 2
    aside.unlink()
    assert site.drd("doctor", "shop").code == 0


@as_root
def test_links_of_the_administrator_stay(site: Site, short_tmp: Path) -> None:
    """The twin: root may have the state, its catalogue or its locks elsewhere."""
    state, disk = site.base / "state", short_tmp / "disk"
    state.rename(disk)
    state.symlink_to(disk)
    (disk / "locks").rename(short_tmp / "locks")
    (disk / "locks").symlink_to(short_tmp / "locks")

    told = site.drd("points", "shop")

    assert "not-ours" not in told.err + str(list(disk.iterdir()))
    assert (disk / "locks").is_symlink()
    assert len(site.points()) == 1


# --- a catalogue that a member has begun -------------------------------------------------------


def begun_by_a_member(state: Path) -> Path:
    """As an earlier drd had it, when the first command after the install was a member's: the
    directory gives each file its group."""
    group = grp.getgrnam("games").gr_gid
    for path in (state, *state.rglob("*")):
        os.chown(path, -1, group, follow_symlinks=False)
    shared(state)
    os.chown(state / "drd.db", NOBODY, -1)
    return state / "drd.db"


@as_root
def test_catalogue_that_a_member_has_begun_is_believed_like_the_owners(
    site: Site, short_tmp: Path
) -> None:
    """The same members could write in the owner's. Nothing that was in force before is stopped."""
    state = site.base / "state"
    (site.base / "secrets").chmod(0o755)
    (site.base / "secrets/restic").chmod(0o644)
    inode = begun_by_a_member(state).stat().st_ino

    told = site.drd("backup", "shop")

    assert not list(state.glob("*.not-ours-*"))
    assert "belongs to user nobody, who created it while the state was" in " ".join(
        told.err.split()
    )
    assert whose(state) == []
    assert (state / "drd.db").stat().st_ino != inode
    assert len(site.points()) == 2
    items = site.drd("doctor", "shop", "--json").json["items"]
    assert not [i for i in items if i["name"].startswith("state: ")]


@as_root
@pytest.mark.parametrize(
    "how", ["of no such group", "second name", "closed before", "marked for another"]
)
def test_other_files_of_a_group_member_are_not_trusted(
    state: Path, short_tmp: Path, how: str
) -> None:
    database = begun_by_a_member(state)
    if how == "of no such group":
        os.chown(database, NOBODY, NOBODY)
    elif how == "second name":
        (short_tmp / "second").hardlink_to(database)
    else:
        state.chmod(0o700)
    if how == "marked for another":
        (state / ".drd.db.shared").write_text(f"{database.stat().st_ino + 1}\n")
    [entry] = [e for e in wrong_entries(places(state)) if e.is_catalogue]
    assert entry.deed == "set aside"


@as_root
def test_a_start_that_dies_as_soon_as_the_state_is_closed_takes_nothing_away(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = begun_by_a_member(state)
    with_log(database)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(modes, "put_right", dies)
        with pytest.raises(KeyboardInterrupt):
            close_state(places(state), renew)
    assert state.stat().st_mode & 0o7777 == 0o700
    close_state(places(state), renew)
    assert rows(database) == [(n,) for n in range(500)]
    assert wrong_entries(places(state)) == []
    assert not list(state.glob("*.not-ours-*"))


@as_root
def test_catalogue_of_a_members_that_is_in_use_gets_its_file_at_a_later_start(state: Path) -> None:
    database, own = begun_by_a_member(state), places(state)
    inode = database.stat().st_ino
    opened = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('SELECT * FROM runs')"
    )
    with python(opened, user=0):
        close_state(own, renew)
        assert database.stat().st_ino == inode
        assert database.stat().st_mode & 0o777 == 0o660, "closed, it would be closed to drd"
        assert standing(own) is not None
    close_state(own, renew)
    assert database.stat().st_ino != inode
    assert database.stat().st_uid == 0
    assert standing(own) is None
    assert not list(state.glob("*.not-ours-*"))


# --- the new file of a catalogue -------------------------------------------------------------


def places(state: Path) -> StatePlaces:
    return StatePlaces(state / "drd.db", state / "locks", state / "work", state / "cache")


@pytest.fixture
def state(short_tmp: Path, logged: Callable[[], str]) -> Path:
    place = short_tmp / "state"
    open_catalogue(f"sqlite:///{place}/drd.db", create=True).close()
    return place


@contextmanager
def python(code: str, *, user: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has said `ready` and goes on."""
    words = [
        sys.executable if user == 0 else "/usr/bin/python3",
        "-I",
        "-c",
        f"{code}\nprint('ready', flush=True)\nimport time; time.sleep(60)",
    ]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, user=user)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]


def rows(database: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT * FROM kept ORDER BY 1").fetchall()


def with_log(database: Path) -> None:
    """Rows of which the last ones are in the log alone: their process died."""
    code = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA wal_autocheckpoint=0')\n"
        "c.execute('CREATE TABLE kept (n)')\n"
        "for n in range(500): c.execute('INSERT INTO kept VALUES (?)', (n,))\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(database)], check=True)
    assert database.with_name("drd.db-wal").stat().st_size > 0


def test_rows_committed_only_to_the_log_are_in_the_renewed_database(state: Path) -> None:
    database = state / "drd.db"
    with_log(database)
    (state.parent / "second").hardlink_to(database)
    before = database.stat().st_ino

    (entry,) = put_right(places(state), renew)

    assert not entry.left
    assert database.stat().st_ino != before
    assert not database.with_name("drd.db-wal").exists()
    assert rows(database) == [(n,) for n in range(500)]


@as_root
def test_log_that_a_members_program_made_keeps_its_content(state: Path) -> None:
    database = state / "drd.db"
    with_log(database)
    for suffix in ("-wal", "-shm"):
        theirs(database.with_name(f"drd.db{suffix}"))

    assert [e.left for e in put_right(places(state), renew)] == [""]

    assert rows(database) == [(n,) for n in range(500)]
    assert wrong_entries(places(state)) == []


@pytest.mark.parametrize("moment", ["rename", "unlink"])
def test_killed_while_it_is_made_nothing_is_lost(
    state: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = state / "drd.db"
    with_log(database)
    (state.parent / "second").hardlink_to(database)
    plain, renamed = getattr(Path, moment), []

    def dies(path: Path, *words: object, **options: object) -> object:
        if moment == "rename" or (renamed and path.name == "drd.db-wal"):
            raise KeyboardInterrupt
        return plain(path, *words, **options)

    def rename(path: Path, to: Path) -> None:
        renamed.append(path)
        os.rename(path, to)  # noqa: PTH104 - Path's own is replaced

    with monkeypatch.context() as patch:
        patch.setattr(renewal.Path, "rename", rename)
        patch.setattr(renewal.Path, moment, dies)
        with pytest.raises(KeyboardInterrupt):
            renew(database)
    assert rows(database) == [(n,) for n in range(500)]
    put_right(places(state), renew)
    assert rows(database) == [(n,) for n in range(500)]
    assert wrong_entries(places(state)) == []


@as_root
def test_catalogue_that_an_older_daemon_has_open_is_left_closed_and_told_of(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, own = state / "drd.db", places(state)
    (state.parent / "second").hardlink_to(database)
    database.chmod(0o660)
    inode = database.stat().st_ino
    opened = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('SELECT * FROM runs')"
    )
    with python(opened, user=0):
        close_state(own, renew)
        said = capsys.readouterr().err
        assert database.stat().st_ino == inode
        assert database.stat().st_mode & 0o777 == 0o600
        assert "systemctl stop drd" in said
        assert "drd closed its state to group and others: directories 0700" not in said
        assert standing(own) is not None
        assert [f.failed for f in findings(own)] == [True]
    close_state(own, renew)
    assert database.stat().st_ino != inode
    assert standing(own) is None


@as_root
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="for everybody to start")
def test_a_group_members_lock_prevents_no_fix(state: Path) -> None:
    database = state / "drd.db"
    second = state.parent / "second"
    second.hardlink_to(database)
    second.chmod(0o666)
    state.parent.chmod(0o755)
    locked = (
        f"import fcntl; f = open({str(second)!r}, 'r+b')\n"
        "fcntl.lockf(f, fcntl.LOCK_EX, 512, 0x40000000)"
    )
    with python(locked, user=NOBODY):
        began = time.monotonic()
        assert [e.left for e in put_right(places(state), renew)] == [""]
        assert time.monotonic() - began < 5
        open_catalogue(f"sqlite:///{database}", create=False).close()


def test_new_file_is_not_a_copy_of_another_state(site: Site) -> None:
    """The catalogue knows its file by its number."""
    database = site.base / "state/drd.db"
    site.drd("retention", "shop")
    (site.base / "second").hardlink_to(database)
    before = database.stat().st_ino

    site.drd("retention", "shop")

    assert database.stat().st_ino != before
    [(noted,)] = site.catalogue("SELECT value FROM daemon_state WHERE key = 'custody'")
    assert json.loads(noted)["owner"]["inode"] == database.stat().st_ino
    items = site.drd("doctor", "shop", "--json").json["items"]
    assert not [i for i in items if i["name"] == "this state"]


# --- a journal beside it, which names a file that SQLite is to remove ---------------------------


@as_root
@pytest.mark.parametrize("behind", [b"", MAGIC, MAGIC[:4] + MAGIC])
def test_journal_of_a_members_has_drd_remove_nothing(state: Path, behind: bytes) -> None:
    """Behind its name may stand what is none: without that its end is one."""
    database, victim = state / "drd.db", state.parent / "victim"
    victim.write_text("root's")
    database.chmod(0o660)
    journal = plant(database, victim, NOBODY)
    journal.write_bytes(journal.read_bytes() + behind)

    assert [e.left for e in put_right(places(state), renew)] == [""]

    assert victim.read_text() == "root's"
    assert not journal.exists()
    open_catalogue(f"sqlite:///{database}", create=False).close()
    assert wrong_entries(places(state)) == []


def test_changes_that_a_killed_drd_had_not_committed_are_rolled_back(state: Path) -> None:
    """The twin: a journal of drd's own, in a catalogue that was open to others."""
    database = state / "drd.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE kept (n, filling)")
        values = [(n, "x" * 1000) for n in range(500)]
        connection.executemany("INSERT INTO kept VALUES (?, ?)", values)
        connection.commit()
    before = rows(database)
    journal = interrupted(database, "UPDATE kept SET n = -1")
    database.chmod(0o660)

    assert [e.left for e in put_right(places(state), renew)] == [""]

    assert not journal.exists()
    assert rows(database) == before


@as_root
def test_catalogue_in_use_is_not_opened_beside_such_a_journal(state: Path) -> None:
    database, victim = state / "drd.db", state.parent / "victim"
    victim.write_text("root's")
    opened = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('SELECT * FROM runs')"
    )
    with python(opened, user=0):
        database.chmod(0o660)
        plant(database, victim, NOBODY)
        for _ in range(2):
            with pytest.raises(CatalogueError, match=r"drd\.db-journal is in the same directory"):
                close_state(places(state), renew)
    close_state(places(state), renew)
    open_catalogue(f"sqlite:///{database}", create=False).close()

    assert victim.read_text() == "root's"


# --- what stays open to somebody ---------------------------------------------------------------


@as_root
def test_catalogue_in_use_at_the_first_start_gets_its_file_at_the_next(state: Path) -> None:
    """Nothing but the mark shows by then that others could have it open."""
    database, own = state / "drd.db", places(state)
    database.chmod(0o660)
    inode = database.stat().st_ino
    opened = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('SELECT * FROM runs')"
    )
    with database.open("r+b") as member:
        with python(opened, user=0):
            close_state(own, renew)
            assert database.stat().st_mode & 0o777 == 0o600
            assert database.stat().st_ino == inode
            assert standing(own) is not None
            assert [f.failed for f in findings(own)] == [True]
        close_state(own, renew)
        assert os.fstat(member.fileno()).st_nlink == 0
    assert database.stat().st_ino != inode
    assert standing(own) is None
    now = database.stat().st_ino
    close_state(own, renew)
    assert database.stat().st_ino == now


def test_lock_that_a_dead_process_left_holds_nothing_up(state: Path) -> None:
    """A flock outlives who took it, and the number of its process may be anybody's by then."""
    database = state / "drd.db"
    database.chmod(0o660)
    inode = database.stat().st_ino
    with database.open("r+b") as member:
        fcntl.flock(member, fcntl.LOCK_SH)
        assert [e.left for e in put_right(places(state), renew)] == [""]
    assert database.stat().st_ino != inode


def test_a_process_using_the_catalogue_meanwhile_loses_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older drd that waits for a lock of the old file would write to that one."""
    database = state / "drd.db"
    database.chmod(0o660)
    inode = database.stat().st_ino
    writes = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], timeout=20)\n"
        "c.execute('CREATE TABLE kept (n)')\n"
        "c.execute('INSERT INTO kept VALUES (1)')\n"
        "c.commit()"
    )
    began: list[subprocess.Popen[bytes]] = []
    made_whole = renewal._made_whole

    def slowly(fresh: Path) -> bool:
        words = [sys.executable, "-I", "-c", writes, str(database)]
        began.append(subprocess.Popen(words))
        fds = Path(f"/proc/{began[0].pid}/fd")
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            if any(f.exists() and f.samefile(database) for f in fds.iterdir()):
                break
            time.sleep(0.05)
        return made_whole(fresh)

    with monkeypatch.context() as patch:
        patch.setattr(renewal, "_made_whole", slowly)
        (entry,) = put_right(places(state), renew)
    assert entry.left
    assert database.stat().st_ino == inode
    assert began[0].wait(30) == 0
    assert rows(database) == [(1,)]
    assert [e.left for e in put_right(places(state), renew)] == [""]
    assert rows(database) == [(1,)]


def test_state_behind_a_link_of_its_owners_is_closed_like_a_plain_one(state: Path) -> None:
    real = state.rename(state.with_name("real"))
    state.symlink_to("real")
    database = real / "drd.db"
    inode = database.stat().st_ino
    shared(real)

    close_state(places(state), renew)

    assert real.stat().st_mode & 0o7777 == 0o700
    assert database.stat().st_mode & 0o777 == 0o600
    assert database.stat().st_ino != inode
    assert wrong_entries(places(state)) == []


@pytest.mark.parametrize("private", [True, False])
def test_catalogue_behind_a_link_of_its_owners_is_closed_or_named(
    state: Path, capsys: pytest.CaptureFixture[str], *, private: bool
) -> None:
    data = state.with_name("data")
    data.mkdir()
    database = (state / "drd.db").rename(data / "drd.db")
    (state / "drd.db").symlink_to(database)
    inode = database.stat().st_ino
    shared(state)
    database.chmod(0o660)
    data.chmod(0o700 if private else 0o777)

    close_state(places(state), renew)

    said = capsys.readouterr().err
    assert database.stat().st_mode & 0o777 == 0o600
    assert (state / "drd.db").is_symlink()
    assert (database.stat().st_ino != inode) == private
    assert ("drd closed its state to group and others: directories 0700" in said) == private
    assert (not any(f.failed for f in findings(places(state)))) == private
    assert (standing(places(state)) is None) == private


@as_root
def test_catalogue_of_a_strangers_that_cannot_be_set_aside_is_not_opened(state: Path) -> None:
    theirs(state / "drd.db")
    state.chmod(0o777)
    (state / "other").touch()
    with pytest.raises(CatalogueError, match=r"drd\.db belongs to"):
        close_state(places(state), renew)
    state.chmod(0o700)
    close_state(places(state), renew)
    assert not (state / "drd.db").exists()
