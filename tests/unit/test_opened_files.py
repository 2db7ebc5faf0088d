"""Restored files of a server are open to those who could use the ones that they replace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drd.kinds.mariadb.physical.opened import open_like
from tests.user_support import as_root


def tree(top: Path, **modes: int) -> Path:
    for name in ("mysql", "shop"):
        (top / name).mkdir(parents=True, mode=0o700)
    for name in ("ibdata1", "shop/a.ibd", "shop/b.ibd"):
        (top / name).write_text(name)
        (top / name).chmod(0o600)
    for name, mode in modes.items():
        (top / name.replace("__", "/").replace("_", ".")).chmod(mode)
    return top


@pytest.fixture
def former(tmp_path: Path) -> Path:
    top = tree(tmp_path / "former", mysql=0o2750, shop=0o755, ibdata1=0o4660, shop__a_ibd=0o644)
    (top / "shop/b.ibd").unlink()
    return top


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_rights_come_from_the_entry_of_the_same_name_or_from_a_usual_one(
    former: Path, tmp_path: Path
) -> None:
    new = tree(tmp_path / "new", shop__a_ibd=0o666)
    (new / "later").mkdir(mode=0o700)
    former.chmod(0o710)
    open_like(new, former)
    assert (mode(new), mode(new / "mysql"), mode(new / "shop")) == (0o710, 0o750, 0o755)
    assert mode(new / "later") == 0o750
    assert mode(new / "ibdata1") == mode(new / "shop/b.ibd") == 0o660
    assert mode(new / "shop/a.ibd") == 0o644


def test_what_the_servers_user_could_have_put_there_stays_as_it_is(
    former: Path, tmp_path: Path
) -> None:
    new, secret = tree(tmp_path / "new"), tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    (new / "ibdata1").unlink()
    (new / "ibdata1").symlink_to(secret)
    (new / "shop/a.ibd").unlink()
    os.link(secret, new / "shop/a.ibd")
    os.mkfifo(new / "shop/pipe", 0o600)
    open_like(new, former)
    assert mode(secret) == 0o600
    assert mode(new / "shop/pipe") == 0o600


@as_root
def test_group_comes_back_as_well(former: Path, tmp_path: Path) -> None:
    new = tree(tmp_path / "new")
    for path in (former, former / "shop", former / "ibdata1", former / "shop/a.ibd"):
        os.chown(path, -1, 60)
    open_like(new, former)
    groups = {p.relative_to(new).as_posix(): p.stat().st_gid for p in (new, *new.rglob("*"))}
    closed = {"mysql"}
    assert {name for name, gid in groups.items() if gid == 60} == set(groups) - closed


def test_another_group_does_not_get_the_rights_of_the_group(
    former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, stat_of = tree(tmp_path / "new"), os.stat_result
    own = former.stat().st_gid
    known = Path.lstat

    def of_others(path: Path) -> os.stat_result:
        found = known(path)
        if former not in path.parents:
            return found
        return stat_of((*found[:5], own + 1, *found[6:10]))

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "lstat", of_others)
    monkeypatch.setattr(os, "fchown", refused)
    open_like(new, former)
    monkeypatch.undo()
    assert (mode(new / "mysql"), mode(new / "shop")) == (0o700, 0o705)
    assert (mode(new / "ibdata1"), mode(new / "shop/a.ibd")) == (0o600, 0o604)
