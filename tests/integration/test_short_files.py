"""Snapshots that note more of a file than they hold: such a file is cut to what is stored of it.
What is damaged stays damaged, and whatever is not explained to the byte."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from drd import process
from drd.errors import RepositoryDamaged
from drd.ports import Fetched, Torn, Tree
from drd.process import Command
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.short_files import unquoted
from tests.repository_support import founded, local_repository, restic
from tests.torn_support import note
from tests.user_support import NOBODY, acting_as, as_root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "log").mkdir(parents=True)
    (root / "log/hot").write_bytes(b"x" * 3000)
    (root / "zeros").write_bytes(b"y" * 500 + bytes(500))
    (root / "steady").write_bytes(b"z" * 100 + bytes(10_000))
    return root


def stored(repository: ResticRepository, tree: Path, noted: Mapping[str, int]) -> str:
    snapshot = repository.store(Tree((str(tree),)), host="p", tags=["t"]).snapshot
    return note(repository, snapshot, {f"{tree}/{name}": n for name, n in noted.items()})


def back(
    repository: ResticRepository, snapshot: str, into: Path, *include: str
) -> tuple[Fetched, Path]:
    into.mkdir()
    return repository.restore(snapshot, into, include=include), into


def same(tree: Path, into: Path) -> bool:
    """Whether every file came back with what it had, its mode and its time."""
    came = into / str(tree).lstrip("/")
    names = [p.relative_to(tree) for p in tree.rglob("*") if p.is_file()]
    assert names
    return all(
        (came / n).read_bytes() == (tree / n).read_bytes()
        and (came / n).stat().st_mode == (tree / n).stat().st_mode
        and (came / n).stat().st_mtime_ns == (tree / n).stat().st_mtime_ns
        for n in names
    )


@pytest.mark.parametrize(
    "noted",
    [
        {"log/hot": 3001},
        {"log/hot": 9_000_000},
        {"zeros": 1500},
        {"log/hot": 4000, "zeros": 7000},
        {"log/hot": 4000, "zeros": 7000, "steady": 10_101},
    ],
)
def test_short_files_are_restored_without_padding(
    repository: ResticRepository, tree: Path, tmp_path: Path, noted: dict[str, int]
) -> None:
    snapshot = stored(repository, tree, noted)
    fetched, into = back(repository, snapshot, tmp_path / "out")
    assert set(fetched.torn) == {
        Torn(f"{tree}/{name}", (tree / name).stat().st_size, n) for name, n in noted.items()
    }
    assert same(tree, into)
    assert back(repository, snapshot, tmp_path / "part", str(tree / "steady"))[0].torn == tuple(
        t for t in fetched.torn if t.path == f"{tree}/steady"
    ), "what was not asked for is not missed"


WRITER = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
while True:
    os.ftruncate(file, 700000)
    os.ftruncate(file, 3000000)
"""


def test_files_torn_by_restic_are_restored_as_stored(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    hot = tree / "log/hot"
    hot.write_bytes(os.urandom(700_000))
    writer = process.start(Command([sys.executable, "-c", WRITER, str(hot)]))
    try:
        for number in range(30):
            snapshot = repository.store(Tree((str(tree),)), host="p", tags=["t"]).snapshot
            fetched, into = back(repository, snapshot, tmp_path / str(number))
            came = (into / str(hot).lstrip("/")).read_bytes()
            assert repository.read_file(snapshot, str(hot)) == came
            if fetched.torn:
                break
        else:
            pytest.skip("this restic tears no file")
    finally:
        writer.stop()
    assert [t.path for t in fetched.torn] == [str(hot)]
    assert fetched.torn[0].stored == len(came)


def test_a_file_without_stored_bytes_is_empty(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    (tree / "log/hot").write_bytes(b"")
    snapshot = stored(repository, tree, {"log/hot": 3000})
    fetched, into = back(repository, snapshot, tmp_path / "out")
    assert fetched.torn == (Torn(f"{tree}/log/hot", 0, 3000),)
    assert same(tree, into)


ODD = [b"$HOME", b"a*b", b"back\\slash", b'quote"', b"new\nline", b"tab\t", b"bad\xff",
       "ünï\u202e\U000e0001".encode(), b"\x01\x7f"]  # fmt: skip


def test_files_of_any_name_are_found(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    names = [os.fsdecode(name) for name in ODD]
    for name in names:
        (tree / name).write_bytes(b"here" * 100)
    shutil.rmtree(tree / "log")
    snapshot = repository.store(Tree((str(tree),)), host="p", tags=["t"]).snapshot
    # A directory names its files as Go would write them in a program.
    quoted = {b"back\\slash": r"back\\slash", b'quote"': r"quote\"", b"new\nline": r"new\nline",
              b"tab\t": r"tab\t", b"bad\xff": r"bad\xff", b"\x01\x7f": r"\x01\x7f",
              ODD[7]: r"ünï\u202e\U000e0001"}  # fmt: skip
    noted = {f"{tree}/{quoted.get(n, os.fsdecode(n))}": 500 + i for i, n in enumerate(ODD)}
    fetched, into = back(repository, note(repository, snapshot, noted), tmp_path / "out")
    assert {t.path for t in fetched.torn} == {f"{tree}/{name}" for name in names}
    assert same(tree, into)


def test_names_quoted_by_go_are_unquoted() -> None:
    assert unquoted(r"/a\\b\"c\n\x01\xff\u202e\U000e0001ü") == (
        b'/a\\b"c\n\x01\xff' + "\u202e\U000e0001ü".encode()
    )


def test_file_with_several_names_is_cut_once(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    (tree / "again").hardlink_to(tree / "log/hot")
    snapshot = stored(repository, tree, {"again": 4000, "log/hot": 5000, "zeros": 1200})
    fetched, into = back(repository, snapshot, tmp_path / "out")
    assert [t.path for t in fetched.torn] == [f"{tree}/again", f"{tree}/zeros"]
    assert same(tree, into)
    came = into / str(tree).lstrip("/")
    assert (came / "again").samefile(came / "log/hot")


@as_root
def test_file_system_that_reserves_no_space_gets_no_more_than_is_stored(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    snapshot = stored(repository, tree, {"log/hot": 4000, "zeros": 7000, "steady": 10_200})
    (tmp_path / "out").mkdir()
    mount = process.run(Command(["mount", "-t", "ramfs", "ramfs", str(tmp_path / "out")]))
    if mount.exit_code != 0:
        pytest.skip(f"this user cannot mount: {mount.complaint}")
    try:
        assert len(repository.restore(snapshot, tmp_path / "out").torn) == 3
        assert same(tree, tmp_path / "out")
    finally:
        process.run(Command(["umount", str(tmp_path / "out")]))


@as_root
def test_non_root_users_get_files_that_they_cannot_write(short_tmp: Path) -> None:
    repository, tree = founded(local_repository(short_tmp)), short_tmp / "tree"
    tree.mkdir()
    for name, mode in (("hot", 0o400), ("closed", 0o000)):
        (tree / name).write_bytes(b"x" * 3000)
        (tree / name).chmod(mode)
    snapshot = stored(repository, tree, {"hot": 4000, "closed": 7000})
    for entry in (short_tmp / "repository", *(short_tmp / "repository").rglob("*")):
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    into = short_tmp / "out"
    into.mkdir()
    os.chown(into, NOBODY, NOBODY)
    with acting_as(NOBODY):
        ours = local_repository(short_tmp)
        ours.runner.session._cache_dir = into.parent / "nobodys"
        fetched = ours.restore(snapshot, into)
    assert len(fetched.torn) == 2
    assert same(tree, into)
    assert (into / str(tree).lstrip("/") / "hot").stat().st_uid == NOBODY


# --- damage ---------------------------------------------------------------------------------


def refused(repository: ResticRepository, snapshot: str, into: Path, **how: bool) -> str:
    into.mkdir()
    with pytest.raises(RepositoryDamaged) as caught:
        repository.restore(snapshot, into, **how)
    assert list(into.iterdir()) == []
    into.rmdir()
    return caught.value.message


@pytest.mark.parametrize(
    "noted",
    [
        {"log/hot": 2000},
        {"log/hot": 2000, "zeros": 2500},
        {"log/hot": 2000, "zeros": 2000},
        {"log/hot": 2999, "steady": 10_200, "zeros": 1001},
    ],
)
def test_file_with_more_than_is_noted_is_damage(
    repository: ResticRepository, tree: Path, tmp_path: Path, noted: dict[str, int]
) -> None:
    snapshot = stored(repository, tree, noted)
    assert "bytes" in refused(repository, snapshot, tmp_path / "out")
    assert "bytes" in refused(repository, snapshot, tmp_path / "out", brief=True)


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_damage_beside_such_a_file_is_found(
    repository: ResticRepository, tree: Path, tmp_path: Path, damage: str
) -> None:
    (tree / "big").write_bytes(os.urandom(200_000))
    snapshot = stored(repository, tree, {"log/hot": 4000})
    packs = [p for p in (tmp_path / "repository/data").rglob("*") if p.is_file()]
    pack = max(packs, key=lambda p: p.stat().st_size)
    whole = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    if damage == "missing":
        pack.unlink()
    assert "big" in refused(repository, snapshot, tmp_path / "out")
    pack.write_bytes(whole)
    assert same(tree, back(repository, snapshot, tmp_path / "healthy")[1])


def test_blob_that_no_index_names_is_found_beside_such_a_file(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    (tree / "big").write_bytes(os.urandom(200_000))
    snapshot = stored(repository, tree, {"log/hot": 4000})
    packs = [p for p in (tmp_path / "repository/data").rglob("*") if p.is_file()]
    max(packs, key=lambda p: p.stat().st_size).unlink()
    restic(repository, "repair", "index")
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(RepositoryDamaged):
        repository.restore(snapshot, into)
    assert list(into.iterdir()) == []


def answering(tmp_path: Path, verb: str, script: str) -> ResticRepository:
    """The repository by a restic that does something else at `verb`; everything it was asked is in
    `calls`."""
    program = tmp_path / "restic"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n'
        f'case " $* " in *" {verb} "*) {script};; esac\nexec {shutil.which("restic")} "$@"\n'
    )
    program.chmod(0o755)
    repository = local_repository(tmp_path)
    repository.runner.session._program = str(program)
    return repository


def test_a_file_ending_with_zeros_is_not_taken_as_torn(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    """A restic that loses the end of a sound file, as no known one does, and says nothing."""
    snapshot = stored(repository, tree, {})
    real = shutil.which("restic")
    script = (
        f'{real} "$@" >{tmp_path}/said; code=$?; cat {tmp_path}/said | '
        'sed \'s/"files_restored":\\([0-9]*\\)/"files_restored":1/; '
        's/"bytes_restored":[0-9]*/"bytes_restored":13000/\'; exit $code'
    )
    lying = answering(tmp_path, "restore", script)
    assert "13000 of" in refused(lying, snapshot, tmp_path / "out")
    snapshot = stored(repository, tree, {"log/hot": 4000})
    assert "13000 of" in refused(lying, snapshot, tmp_path / "out"), "by another number of bytes"


def test_questions_work_without_a_lock(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    snapshot = stored(repository, tree, {"log/hot": 4000, "zeros": 7000})
    asked = answering(tmp_path, "none", "true")
    before = sorted((tmp_path / "repository").rglob("*"))
    for number, brief in enumerate([True, False]):
        (tmp_path / "calls").unlink(missing_ok=True)
        (tmp_path / f"out{number}").mkdir()
        assert len(asked.restore(snapshot, tmp_path / f"out{number}", brief=brief).torn) == 2
        calls = (tmp_path / "calls").read_text().splitlines()
        verbs = ("restore", "ls", "dump", "repair")
        of = {v: [c for c in calls if f" {v} " in c] for v in verbs}
        assert [len(of[v]) for v in verbs] == [1, 1, 1, 1], calls
        assert all("--dry-run" in c for c in of["repair"])
        assert all(("--no-lock" in c) is brief for v in verbs[:3] for c in of[v])
    assert sorted((tmp_path / "repository").rglob("*")) == before
    assert restic(repository, "check").exit_code == 0


def test_whole_snapshot_costs_no_more_calls(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    snapshot = stored(repository, tree, {})
    asked = answering(tmp_path, "none", "true")
    (tmp_path / "calls").unlink(missing_ok=True)
    assert back(asked, snapshot, tmp_path / "out")[0].torn == ()
    calls = (tmp_path / "calls").read_text()
    assert not any(f" {verb} " in calls for verb in ("repair", "ls", "dump"))
