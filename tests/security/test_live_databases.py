"""Attack: an application's user prepares his own database for root, who brings a table back into
it.

SQLite removes the file that a rollback journal names, whatever it is: root's `recover --table`,
with `--dry-run` as well, met a journal that he had put beside his database, and any file of root's
was gone. By a link in the place of the database root wrote into one of root's own. The same journal
could come out of a repository beside the file that drd had stored.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd.errors import SourceError, TargetError
from drd.kinds.sqlite import shared_directory
from drd.kinds.sqlite.destination import refuse_content
from drd.kinds.sqlite.inspector import SqliteInspector
from drd.kinds.sqlite.shared_directory import for_writing
from tests.e2e.site import PASSWORD, Site, make_sqlite
from tests.security.forging import FORGED, component, forge
from tests.security.journals import PLAN, interrupted, plant
from tests.user_support import NOBODY, as_root

pytestmark = as_root

APPLICATION = pwd.getpwnam("games")
SERVICE = pwd.getpwnam("daemon")

BACK = ("recover", "shop", "--table", "orders", "--in-place", "--into")


def owned(place: Path, user: pwd.struct_passwd) -> None:
    for path in (place, *place.rglob("*")):
        os.lchown(path, user.pw_uid, user.pw_gid)


def names(place: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in place.iterdir()}


def tables(database: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {n for (n,) in connection.execute("select name from sqlite_master")}


@pytest.fixture
def victim(short_tmp: Path) -> Path:
    (short_tmp / "root").mkdir(mode=0o700)
    (short_tmp / "root/secret").write_text("root's")
    return short_tmp / "root/secret"


def keep(database: Path, journal: str) -> None:
    """In a journal mode, in which it stays."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"pragma journal_mode = {journal}").fetchall()


@pytest.fixture
def app(short_tmp: Path) -> Path:
    """His directory, with his database in it."""
    short_tmp.chmod(0o755)
    (short_tmp / "app").mkdir()
    make_sqlite(short_tmp / "app/shop.db")
    owned(short_tmp / "app", APPLICATION)
    return short_tmp / "app"


@pytest.fixture
def site(short_tmp: Path, app: Path) -> Site:
    made = Site(short_tmp)
    made.plan(PLAN.format(base=made.base))
    return made


@pytest.fixture(params=["root", "service"])
def backed_up(site: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The state is root's, or a service user's, for whom root works then."""
    if request.param == "service":
        for name in ("state", "work", "cache", "repo"):
            owned(site.base / name, SERVICE)
    site.drd("backup", "shop")
    return site


@pytest.fixture
def kept_by_root(site: Site, app: Path) -> Path:
    """The directory is root's, and what is in it the application's: it makes and removes nothing
    there."""
    os.chown(app, 0, 0)
    return app


# --- a recovery of a table -------------------------------------------------------------------


def test_a_journal_of_the_owner_makes_root_remove_nothing(
    backed_up: Site, app: Path, victim: Path
) -> None:
    backed_up.drd(*BACK, "twin", "--yes")
    assert "twin" in tables(app / "shop.db")
    assert {p.stat().st_uid for p in app.iterdir()} == {APPLICATION.pw_uid}

    plant(app / "shop.db", victim, APPLICATION.pw_uid)
    before = names(app)
    backed_up.drd(*BACK, "looked", "--dry-run")
    assert names(app) == before
    backed_up.drd(*BACK, "attacked", "--yes", code=1)

    assert victim.read_text() == "root's"


def test_a_table_is_restored_into_the_owners_wal_database(site: Site, app: Path) -> None:
    keep(app / "shop.db", "wal")
    owned(app, APPLICATION)
    site.drd("backup", "shop")

    site.drd(*BACK, "twin", "--yes")

    assert "twin" in tables(app / "shop.db")
    assert {p.stat().st_uid for p in app.iterdir()} == {APPLICATION.pw_uid}


@pytest.mark.parametrize("whose", ["his", "root's"])
def test_a_journal_in_roots_directory_makes_root_remove_nothing(
    site: Site, kept_by_root: Path, victim: Path, whose: str
) -> None:
    database, beside = kept_by_root / "shop.db", kept_by_root / "root's"
    beside.write_text("root's")
    if whose == "root's":
        os.chown(database, 0, 0)
    site.drd("backup", "shop")
    for named in (victim, beside):
        plant(database, named, APPLICATION.pw_uid)
        site.drd(*BACK, "attacked", "--yes", code=1)

        assert victim.exists()
        assert beside.exists()


@pytest.mark.parametrize("journal", ["delete", "persist", "wal"])
def test_a_table_is_restored_into_a_users_database_of_roots(
    site: Site, kept_by_root: Path, journal: str
) -> None:
    """The twin. What his application needs there is there afterwards, and his."""
    database, needed = kept_by_root / "shop.db", set[str]()
    keep(database, journal)
    site.drd("backup", "shop")
    with closing(sqlite3.connect(database, isolation_level=None)) as application:
        application.execute(f"pragma journal_mode = {journal}").fetchall()
        application.execute("update orders set total = 7")
        owned(kept_by_root, APPLICATION)
        os.chown(kept_by_root, 0, 0)
        needed = set(names(kept_by_root))

        site.drd(*BACK, "twin", "--yes")

        assert "twin" in tables(database)
        assert set(names(kept_by_root)) == needed
        assert {p.stat().st_uid for p in kept_by_root.iterdir()} == {APPLICATION.pw_uid}
        application.execute("update twin set total = 8")


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_pipe_or_link_beside_a_database_blocks_nothing(
    site: Site, app: Path, victim: Path, suffix: str
) -> None:
    site.drd("backup", "shop")
    beside = app / f"shop.db{suffix}"
    os.mkfifo(beside)
    for words in ((*BACK, "x", "--dry-run"), ("doctor", "shop"), ("backup", "shop")):
        told = site.drd(*words, code=None, timeout=30)
        assert told.code != 0
        assert f"{beside} is not a file" in told.out + told.err

    beside.unlink()
    beside.symlink_to(victim)
    assert "is not a file" in site.drd("backup", "shop", code=None).err
    assert victim.stat().st_uid == 0
    beside.unlink()
    site.drd("backup", "shop")


def test_a_journal_of_a_killed_application_is_rolled_back(site: Site, app: Path) -> None:
    """The twin: a journal that belongs to the database."""
    site.drd("backup", "shop")
    owned(app, APPLICATION)
    journal = interrupted(app / "shop.db", "update orders set total = 0")
    os.chown(journal, APPLICATION.pw_uid, APPLICATION.pw_gid)

    before = names(app)
    site.drd(*BACK, "looked", "--dry-run")
    assert names(app) == before
    site.drd(*BACK, "back", "--yes")

    assert not journal.exists()
    with closing(sqlite3.connect(app / "shop.db")) as connection:
        query = "select (select sum(total) from orders), (select sum(total) from back)"
        now, then = connection.execute(query).fetchone()
    assert now == then > 0


def test_a_link_in_place_of_a_database_is_refused(site: Site, app: Path, victim: Path) -> None:
    site.drd("backup", "shop")
    others = victim.with_name("other.db")
    make_sqlite(others)
    (app / "shop.db").rename(app / "x")
    (app / "shop.db").symlink_to(others)
    os.lchown(app / "shop.db", APPLICATION.pw_uid, APPLICATION.pw_gid)

    told = site.drd(*BACK, "orders2", "--yes", code=1)

    assert "and others can change this link" in told.err
    assert tables(others) == {"orders", "customers"}


def test_link_of_roots_is_followed(site: Site, app: Path) -> None:
    """The twin: an administrator's."""
    site.drd("backup", "shop")
    (site.base / "link").symlink_to(app)
    site.plan(PLAN.format(base=site.base).replace("/app/", "/link/"))

    site.drd(*BACK, "orders2", "--yes")

    assert "orders2" in tables(app / "shop.db")


@pytest.mark.parametrize("attack", [False, True])
def test_journal_out_of_the_repository_is_refused(
    site: Site, short_tmp: Path, victim: Path, *, attack: bool
) -> None:
    site.drd("backup", "shop")
    (short_tmp / "back").mkdir()
    make_sqlite(short_tmp / "back/shop.db", rows=1)
    mine = short_tmp / "mine"
    mine.mkdir()

    def change(manifest: dict[str, object]) -> None:
        known = component(manifest, "db")
        (mine / "db.sqlite").write_bytes(dumped(site, known["snapshot"]))
        if attack:
            plant(mine / "db.sqlite", victim)
        known["snapshot"] = stored(site, mine)

    forge(site, site.points()[0]["point"], change)
    site.drd("catalogue", "rebuild", code=None)
    words = ("recover", "shop", "--point", FORGED, "--table", "orders", "--into", "orders2")
    told = site.drd(*words, "--target", "standby", "--yes", code=int(attack))

    assert victim.read_text() == "root's"
    assert ("restic restored db.sqlite-journal beside" in told.err) == attack


def dumped(site: Site, snapshot: str) -> bytes:
    return _restic(site, "dump", snapshot, "/db.sqlite", cwd=site.base)


def stored(site: Site, directory: Path) -> str:
    """All that lies there, with the tags of the forged point; the snapshot."""
    tags = ("drd", "plan:shop", f"run:{FORGED}", "component:db")
    words = [w for tag in tags for w in ("--tag", tag)] + sorted(
        p.name for p in directory.iterdir()
    )
    said = _restic(site, "backup", "--json", "--host", "shop", *words, cwd=directory)
    lines = [json.loads(line) for line in said.splitlines()]
    return str(next(s["snapshot_id"] for s in lines if s["message_type"] == "summary"))


def _restic(site: Site, *words: str, cwd: Path) -> bytes:
    return subprocess.run(
        ["restic", "-r", site.repository, "--no-cache", *words],
        cwd=cwd,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        capture_output=True,
        check=True,
    ).stdout


# --- every other time that drd opens one for writing ------------------------------------------

SET = "update orders set total = 7"


def sevens(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("select count(*) from orders where total = 7").fetchone()[0])


def test_statements_of_a_step_have_root_remove_nothing(app: Path, victim: Path) -> None:
    database = app / "shop.db"
    SqliteInspector(database).execute(SET, timeout_s=5)
    assert sevens(database) == 1000
    assert database.stat().st_uid == APPLICATION.pw_uid
    plant(database, victim, APPLICATION.pw_uid)

    with pytest.raises(SourceError):
        SqliteInspector(database).execute(SET, timeout_s=5)

    assert victim.read_text() == "root's"


def test_roots_database_in_a_users_directory_is_confined(app: Path, victim: Path) -> None:
    database = app / "shop.db"
    os.chown(database, 0, 0)
    SqliteInspector(database).execute(SET, timeout_s=5)
    assert sevens(database) == 1000
    plant(database, victim, APPLICATION.pw_uid)

    with pytest.raises(SourceError):
        SqliteInspector(database).execute(SET, timeout_s=5)

    assert victim.read_text() == "root's"


def test_without_landlock_roots_database_there_is_not_opened(
    app: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_directory, "can_confine", lambda: False)
    database = app / "shop.db"
    SqliteInspector(database).execute(SET, timeout_s=5)
    os.chown(database, 0, 0)
    plant(database, victim, APPLICATION.pw_uid)

    with pytest.raises(
        SourceError, match=r"users can write beside this file .* belongs to user games"
    ):
        SqliteInspector(database).execute(SET, timeout_s=5)

    assert victim.read_text() == "root's"


def test_files_of_a_third_user_remove_nothing_of_the_owners(app: Path, short_tmp: Path) -> None:
    """Everybody can write there: not even files of the user to whom the database belongs go."""
    (short_tmp / "his").mkdir()
    (short_tmp / "his/file").write_text("his")
    owned(short_tmp / "his", APPLICATION)
    app.chmod(0o777)
    SqliteInspector(app / "shop.db").execute(SET, timeout_s=5)
    assert sevens(app / "shop.db") == 1000
    plant(app / "shop.db", short_tmp / "his/file", NOBODY)

    with pytest.raises(SourceError):
        SqliteInspector(app / "shop.db").execute(SET, timeout_s=5)

    assert (short_tmp / "his/file").exists()


def test_a_name_exchanged_after_the_check_is_harmless(app: Path, victim: Path) -> None:
    others = victim.with_name("other.db")
    make_sqlite(others)
    before = others.read_bytes()

    def exchange_and_write(place: shared_directory.DatabasePlace) -> None:
        (app / "shop.db").rename(app / "x")
        (app / "shop.db").symlink_to(others)
        with closing(sqlite3.connect(place.path)) as connection:
            connection.execute(SET)
            connection.commit()

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        for_writing(app / "shop.db", exchange_and_write)

    assert others.read_bytes() == before


def test_rights_are_back_afterwards(app: Path) -> None:
    seen = for_writing(app / "shop.db", lambda _: (os.geteuid(), os.getegid(), os.getgroups()))

    assert seen == (APPLICATION.pw_uid, APPLICATION.pw_gid, [APPLICATION.pw_gid])
    assert (os.geteuid(), os.getegid()) == (0, 0)
    with shared_directory.for_reading(app / "shop.db"):
        assert os.geteuid() == APPLICATION.pw_uid
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_root_keeps_its_rights_in_its_own_directory(short_tmp: Path, app: Path) -> None:
    """A database that came back for its application, before it has its directory."""
    (app / "shop.db").rename(short_tmp / "root.db")

    SqliteInspector(short_tmp / "root.db").execute(SET, timeout_s=5)

    assert sevens(short_tmp / "root.db") == 1000


def test_second_name_of_roots_file_beside_it_is_not_written_to(
    site: Site, app: Path, victim: Path
) -> None:
    """Where the kernel lets him make one, in the place of what SQLite shares among readers."""
    with closing(sqlite3.connect(app / "shop.db")) as writer:
        writer.execute("pragma journal_mode = wal")
    site.drd("backup", "shop")
    owned(app, APPLICATION)
    for path in app.glob("shop.db-*"):
        path.unlink()
    (app / "shop.db-shm").hardlink_to(victim)
    victim.chmod(0o600)

    site.drd("backup", "shop", code=None)
    site.drd(*BACK, "back", "--dry-run", code=None)
    site.drd(*BACK, "back", "--yes", code=None)

    assert victim.read_text() == "root's"


# --- a look ----------------------------------------------------------------------------------


def test_peeking_leaves_nothing_and_sees_committed_data(app: Path) -> None:
    database = app / "empty.db"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("create table t (x)")
        writer.execute("drop table t")
        writer.commit()
    before = names(app)
    refuse_content(database)
    assert names(app) == before

    with closing(sqlite3.connect(database)) as writer:
        writer.execute("create table t (x)")
        writer.commit()
        before = names(app)
        with pytest.raises(TargetError, match="1 table or view"):
            refuse_content(database)
        assert names(app) == before
        shutil.copy(database, app / "killed.db")
        shutil.copy(app / "empty.db-wal", app / "killed.db-wal")
    before = names(app)
    with pytest.raises(TargetError, match="is not empty: its -wal file has data"):
        refuse_content(app / "killed.db")
    assert names(app) == before
