"""Attack: the service's user puts a pipe, or a second name of root's file, in the place of a file
that root's commands open in his directories.

Who opens a pipe for reading waits for somebody to write into it: root's commands never ended, some
not by SIGTERM either. And `drd status`, which is made to be fast, and `drd kit verify` looked into
his catalogue with all of root's rights.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from drd.catalogue.diagnosis import require_sound
from drd.catalogue.sql_catalogue import open_catalogue
from drd.errors import CatalogueError, SourceError
from drd.kinds.sqlite.open_by import holder
from drd.kinds.sqlite.shared_directory import for_reading, for_writing
from drd.kinds.sqlite.unwritable import copy_files, is_about_shm
from drd.model.plan import SecretRef
from tests.e2e.site import Site, make_sqlite, make_tree, one_tree
from tests.security.journals import plant
from tests.user_support import as_root

OWNER = pwd.getpwnam("games")
SOON_S = 30


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """The state, what drd works with and the repository are the service user's."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    for name in ("state", "work", "cache", "repo"):
        for path in (made.base / name, *(made.base / name).rglob("*")):
            os.lchown(path, OWNER.pw_uid, OWNER.pw_gid)
    made.drd("backup", "shop")
    return made


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    if os.geteuid() == 0:
        os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
    return path


def kit_of(site: Site) -> tuple[str, ...]:
    """A recovery kit, and the key that opens it: by a passphrase it takes seconds."""
    identity = pyrage.x25519.Identity.generate()
    key = site.base / "secrets/identity"
    key.write_text(str(identity))
    key.chmod(0o600)
    file = f"{site.base}/shop.kit"
    site.drd("kit", "export", "shop", "--to", file, "--recipient", str(identity.to_public()))
    return file, "--identity", str(key)


def hint_of(site: Site) -> Path:
    """Where drd keeps which of the repository's keys is its own."""
    secret = SecretRef("file", f"{site.base}/secrets/restic").describe()
    name = hashlib.sha256(f"{site.repository}\0{secret}".encode()).hexdigest()
    return site.base / f"cache/restic/drd-key-{name[:32]}"


@as_root
def test_commands_end_beside_a_pipe_in_the_state(site: Site) -> None:
    pipe(site.base / "state/.drd.db.shared")
    assert len(site.drd("runs", "--json", timeout=SOON_S).json["runs"]) == 1
    pipe(site.base / "state/.drd.db.shared")
    site.drd("doctor", "shop", timeout=SOON_S)


@as_root
def test_commands_end_with_a_pipe_in_the_place_of_the_keys_hint(site: Site) -> None:
    hint = pipe(hint_of(site))
    site.drd("backup", "shop", timeout=SOON_S)
    site.drd("recover", "shop", "--target", "standby", "--dry-run", timeout=SOON_S)
    assert len(site.points()) == 2
    hint.unlink()
    site.drd("recover", "shop", "--target", "standby", "--dry-run", timeout=SOON_S)


@as_root
def test_commands_end_with_a_pipe_in_the_place_of_the_repositorys_config(site: Site) -> None:
    pipe(Path(site.repository) / "config")
    site.drd("backup", "shop", code=1, timeout=SOON_S)


@as_root
def test_commands_end_with_a_pipe_in_the_place_of_the_catalogue(site: Site) -> None:
    words = kit_of(site)
    site.drd("kit", "verify", *words)
    database = site.base / "state/drd.db"
    database.rename(site.base / "kept")
    for path in (site.base / "state").glob("drd.db-*"):
        path.unlink()

    pipe(database)
    assert "is not a regular file" in site.drd("status", code=1, timeout=SOON_S).err
    site.drd("kit", "verify", *words, timeout=SOON_S)

    database.unlink()
    (site.base / "kept").rename(database)
    assert "shop" in site.drd("status", code=None).out


@as_root
@pytest.mark.parametrize("verb", ["status", "kit"])
def test_second_name_of_roots_file_is_not_written_to(site: Site, verb: str) -> None:
    """Where the kernel lets him make one, in the place of what SQLite shares among readers."""
    words = kit_of(site)
    victim, shm = site.base / "victim", site.base / "state/drd.db-shm"
    victim.write_text("root's")
    victim.chmod(0o600)
    for path in (site.base / "state").glob("drd.db-*"):
        path.unlink()
    (site.base / "state-public/status").unlink(missing_ok=True)
    shm.hardlink_to(victim)

    if verb == "status":
        assert "shop" in site.drd("status", code=None).out
    else:
        site.drd("kit", "verify", *words)

    assert victim.read_text() == "root's"


@as_root
def test_look_for_a_malformed_value_rolls_no_journal_back(short_tmp: Path) -> None:
    database, victim = short_tmp / "state/drd.db", short_tmp / "victim"
    url = f"sqlite:///{database}"
    open_catalogue(url, create=True).close()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO daemon_state (key, at, value) VALUES ('x', 'never', '{}')")
        connection.commit()
    with pytest.raises(CatalogueError, match="never"):
        require_sound(url)
    victim.write_text("root's")
    plant(database, victim, OWNER.pw_uid)

    require_sound(url)  # it cannot be read at all

    assert victim.read_text() == "root's"


# --- beside a database of an application's ----------------------------------------------------


def test_a_pipe_beside_a_database_blocks_nothing(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    make_sqlite(database, rows=1)
    pipe(tmp_path / "shop.db-wal")
    pipe(tmp_path / "shop.db-shm")
    failed = sqlite3.OperationalError("unable to open database file")
    failed.sqlite_errorname = "SQLITE_CANTOPEN"

    assert holder(database) is None
    assert not is_about_shm(failed, database)
    (tmp_path / "copy").touch()
    with pytest.raises(SourceError, match="not a regular file"):
        copy_files(database, tmp_path / "copy", wait_s=1)


def test_a_pipe_in_place_of_a_database_blocks_nothing(tmp_path: Path) -> None:
    database = pipe(tmp_path / "shop.db")

    assert holder(database) is None
    with (
        pytest.raises(SourceError, match="is not a regular file"),
        for_reading(database),
    ):
        pass
    with pytest.raises(SourceError, match="is not a regular file"):
        for_writing(database, lambda _: None)
