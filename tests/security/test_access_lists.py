"""Attack: an application's user may write in a directory of root's by its access control list.

Its mode shows the list's mask as the rights of root's group, in which nobody else is, and root took
the directory for one that only root changes: it followed his links there, and rolled back his
journals.
"""

from __future__ import annotations

import os
import pwd
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from drd import acl
from drd.errors import DrdError
from drd.kinds import untrusted_dirs
from drd.kinds.sqlite import shared_directory
from drd.process import private, state_owner
from drd.process.path_walk import walk
from drd.process.private import why_not_private
from tests.e2e.site import Site, make_sqlite
from tests.security.journals import PLAN, plant
from tests.user_support import NOBODY, as_root

pytestmark = as_root

APPLICATION = pwd.getpwnam("games")
READ, WRITE = 5, 7
USER, GROUP = 0x02, 0x08
BY_LIST = f"user {APPLICATION.pw_name} can write to"


def listed(
    place: Path,
    rights: int,
    who: int = APPLICATION.pw_uid,
    *,
    tag: int = USER,
    mask: int = 7,
    own: int = 5,
    default: bool = False,
) -> None:
    """Root's directory, which also `who` has these rights to; `own` are those of its own group."""
    nobody = 0xFFFFFFFF
    entries = [
        (0x01, 7, nobody),
        (tag, rights, who),
        (0x04, own, nobody),
        (0x10, mask, nobody),
        (0x20, 5, nobody),
    ]
    entries.sort(key=lambda entry: entry[0])
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
    try:
        for name in ("access", "default") if default else ("access",):
            os.setxattr(place, f"system.posix_acl_{name}", data)
    except OSError as error:
        pytest.skip(f"this file system keeps no access control lists: {error}")


@pytest.fixture
def place(short_tmp: Path) -> Path:
    short_tmp.chmod(0o755)
    (short_tmp / "back").mkdir(mode=0o755)
    return short_tmp / "back"


@pytest.fixture
def site(place: Path) -> Site:
    made = Site(place.parent)
    (made.base / "app").mkdir()
    make_sqlite(made.base / "app/shop.db")
    made.plan(PLAN.format(base=made.base))
    made.drd("backup", "shop")
    return made


@pytest.fixture
def victim(short_tmp: Path) -> Path:
    (short_tmp / "root").mkdir(mode=0o700)
    (short_tmp / "root/secret").write_text("root's")
    return short_tmp / "root/secret"


def tables(database: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {n for (n,) in connection.execute("select name from sqlite_master")}


# --- what he does with it --------------------------------------------------------------------


@pytest.mark.parametrize("rights", [WRITE, READ])
def test_a_link_of_a_user_with_write_access_by_acl_is_refused(
    site: Site, place: Path, victim: Path, rights: int
) -> None:
    listed(place, rights)
    (place / "shop.db").symlink_to(victim)
    if rights == WRITE:
        os.lchown(place / "shop.db", APPLICATION.pw_uid, APPLICATION.pw_gid)

    words = ("recover", "shop", "--target", "standby", "--overwrite", "--yes")
    told = site.drd(*words, code=int(rights == WRITE))

    assert (victim.read_text(errors="replace") == "root's") == (rights == WRITE)
    assert ("and others can change this link" in told.err) == (rights == WRITE)


@pytest.mark.parametrize("default", [False, True])
def test_recovery_into_a_directory_writable_by_acl_works(
    site: Site, place: Path, *, default: bool
) -> None:
    """The twin: what he may is no reason not to recover, and his rights stay as they were."""
    listed(place, WRITE, default=default)
    before = os.getxattr(place, "system.posix_acl_access")

    site.drd("recover", "shop", "--target", "standby", "--yes")

    assert tables(place / "shop.db") == {"orders", "customers"}
    assert [p.name for p in place.iterdir()] == ["shop.db"]
    assert os.getxattr(place, "system.posix_acl_access") == before


@pytest.mark.parametrize("attack", [True, False])
def test_a_journal_of_an_acl_user_makes_root_remove_nothing(
    site: Site, victim: Path, *, attack: bool
) -> None:
    app = site.base / "app"
    listed(app, WRITE)
    if attack:
        plant(app / "shop.db", victim, APPLICATION.pw_uid)

    words = ("recover", "shop", "--table", "orders", "--in-place", "--into", "orders2", "--yes")
    site.drd(*words, code=None if attack else 0)

    assert victim.read_text() == "root's"
    assert attack or "orders2" in tables(app / "shop.db")


def test_without_landlock_a_database_beside_an_acl_user_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sqlite(place / "shop.db")
    monkeypatch.setattr(shared_directory, "can_confine", lambda: False)
    listed(place, WRITE)
    with pytest.raises(DrdError, match=f"{BY_LIST} {place} by its access control list"):
        shared_directory.for_writing(place / "shop.db", str)
    listed(place, READ)
    assert shared_directory.for_writing(place / "shop.db", lambda it: it.path) == place / "shop.db"


# --- whom a list names -----------------------------------------------------------------------


Judge = Callable[[Path], bool]


def _by_path(place: Path) -> bool:
    return why_not_private(place, 0) is not None


def _by_descriptors(place: Path) -> bool:
    with closing(walk(os.fspath(place))) as way:
        return private.others_change(way.steps)


def _exposed(place: Path) -> bool:
    return untrusted_dirs._exposed(place)


@pytest.mark.parametrize("others", [_by_path, _by_descriptors, _exposed])
def test_users_on_the_acl_count(place: Path, others: Judge) -> None:
    inside = place / "inside"
    inside.mkdir(mode=0o755)
    group = APPLICATION.pw_gid
    for rights, who, tag, mask, expected in [
        (WRITE, APPLICATION.pw_uid, USER, 7, True),
        (WRITE, NOBODY, USER, 3, True),
        (WRITE, group, GROUP, 7, True),
        (READ, APPLICATION.pw_uid, USER, 7, False),
        (READ, group, GROUP, 7, False),
        (WRITE, APPLICATION.pw_uid, USER, 5, False),
        (WRITE, 0, USER, 7, False),
        (WRITE, 0, GROUP, 7, False),
    ]:
        listed(place, rights, who, tag=tag, mask=mask)
        assert others(place) is expected, (rights, who, tag, mask)
        assert others(inside) is expected, "and what lies in it"


def test_owner_on_the_list_is_not_another_user(place: Path) -> None:
    listed(place, WRITE)
    assert why_not_private(place, APPLICATION.pw_uid) is None
    assert why_not_private(place, 0) == f"{BY_LIST} {place} by its access control list"


def test_group_of_the_directory_has_what_its_own_entry_gives(place: Path) -> None:
    """The mask of a list that gives root alone more is not a right of this group."""
    os.chown(place, 0, APPLICATION.pw_gid)
    listed(place, WRITE, 0)
    assert why_not_private(place, 0) is None
    listed(place, WRITE, 0, own=7)
    assert "the group" in (why_not_private(place, 0) or "")


def test_a_sticky_parent_protects_from_acl_users(place: Path) -> None:
    (place / "inside").mkdir(mode=0o700)
    listed(place, WRITE)
    place.chmod(0o1775)
    assert why_not_private(place / "inside", 0) is None
    assert why_not_private(place, 0) is not None


def test_a_state_writable_by_acl_is_reported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(state_owner, "_warn", lambda what, _: told.append(what))
    (place / "state").mkdir(mode=0o700)
    for rights, who, tag in [(READ, APPLICATION.pw_uid, USER), (WRITE, 0, USER), (WRITE, 0, GROUP)]:
        listed(place, rights, who, tag=tag)
        state_owner.owner_of(place / "state", place / "state")
        assert not told
    listed(place, WRITE)
    state_owner.owner_of(place / "state", place / "state")
    fact = f"{place} belongs to root, but other users can write to it, and so can replace "
    assert told == [f"{fact}{place / 'state'}"]
    state_owner.owner_of(place, place)
    assert told[1:] == [f"{fact}what it contains"]


def test_acls_are_read_only_for_group_writable_files(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the mode gives no group the right, no list gives it either."""
    asked: list[object] = []
    monkeypatch.setattr(acl, "read", asked.append)
    assert why_not_private(place, 0) is None
    assert os.fspath(place) not in asked
    place.chmod(0o775)
    assert why_not_private(place, 0) is None
    assert os.fspath(place) in asked
