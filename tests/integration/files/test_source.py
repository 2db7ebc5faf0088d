"""Trees of this host as sources: what is walked, and what changes meanwhile."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from drd.errors import SourceError, SourceMissing
from drd.kinds.files.destination import LANDING
from drd.model.run import CheckVerdict
from drd.model.snapshot import StoredSnapshot, TreeFingerprint
from drd.ports import Tree, Workplace, no_progress
from tests.integration.files.support import (
    KIND,
    check,
    component,
    lay,
    source,
    take,
    taken,
    tree_of,
)
from tests.restic_support import place
from tests.user_support import NOBODY, acting_as, as_root


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.fixture
def root(short_tmp: Path) -> Path:
    for name in ("a/b/c", "a/cache", "d"):
        (short_tmp / "src" / name).mkdir(parents=True)
    for name in ("top", "a/one", "a/b/two", "a/b/c/three", "a/cache/four", "d/five"):
        (short_tmp / "src" / name).write_text(name)
    return short_tmp / "src"


def names(snapshot_tree: TreeFingerprint, root: Path) -> set[str]:
    return {p[len(str(root)) + 1 :] for p in snapshot_tree.entries}


def test_all_missing_paths_are_named(work: Workplace, root: Path) -> None:
    with pytest.raises(SourceMissing) as caught:
        source(work, root, root / "no1", root / "top" / "no2").probe()
    assert f"{root}/no1" in str(caught.value)
    assert f"{root}/top/no2" in str(caught.value)
    assert "paths" in caught.value.hint
    with pytest.raises(SourceMissing), source(work, root / "no1").open():
        pass


def test_probe_tells_the_size(work: Workplace, root: Path) -> None:
    probe = source(work, root).probe()
    assert probe.size_bytes == sum(p.stat().st_size for p in root.rglob("*") if p.is_file())
    assert probe.notes == ()


def test_a_component_without_any_file_comes_with_a_note(work: Workplace, short_tmp: Path) -> None:
    (short_tmp / "src" / "empty").mkdir(parents=True)
    probe = source(work, short_tmp / "src").probe()
    assert "there is no file" in probe.notes[0]
    snapshot = take(work, short_tmp / "src")
    assert [e.kind for e in tree_of(snapshot).entries.values()] == ["directory", "directory"]


def test_excludes_are_top_most_literal_paths(work: Workplace, root: Path) -> None:
    with source(work, root, exclude=["cache", f"{root}/a/b", "five"]).open() as capture:
        assert isinstance(capture.payload, Tree)
        assert capture.payload.paths == (str(root),)
        assert set(capture.payload.exclude) == {f"{root}/a/cache", f"{root}/a/b", f"{root}/d/five"}
        assert names(capture.fingerprint(), root) == {"", "a", "a/one", "d", "top"}
        assert capture.payload.expected_bytes == len("a/one") + len("top")


def test_a_path_named_by_the_plan_wins_over_an_exclude(work: Workplace, root: Path) -> None:
    paths = [root, root / "a" / "cache" / "four", root / "a" / "b" / "c"]
    with source(work, *paths, exclude=["cache", "b"]).open() as capture:
        assert isinstance(capture.payload, Tree)
        assert capture.payload.paths == (str(root),)
        found = names(capture.fingerprint(), root)
    assert {"a/cache", "a/cache/four", "a/b", "a/b/c", "a/b/c/three"} <= found
    assert "a/b/two" not in found
    assert f"{root}/a/b/two" in capture.payload.exclude


def test_slashes_and_repeated_paths_do_not_matter(work: Workplace, root: Path) -> None:
    with source(work, f"{root}/", f"/{root}//d/", root).open() as capture:
        assert isinstance(capture.payload, Tree)
        assert capture.payload.paths == (str(root),)


def test_a_path_behind_a_symlink_of_another_path_is_refused(work: Workplace, root: Path) -> None:
    (root / "way").symlink_to("a")
    with pytest.raises(SourceError, match="through the symlink") as caught:
        source(work, root, root / "way" / "one").probe()
    assert f"{root}/a/one" in caught.value.hint


def test_a_socket_as_path_is_refused(work: Workplace, short_tmp: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short_tmp / "s"))
        with pytest.raises(SourceError, match="is a socket"):
            source(work, short_tmp / "s").probe()


def test_another_file_system_is_left_out_when_asked(work: Workplace) -> None:
    if Path("/dev/shm").stat().st_dev == Path("/dev").stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    with source(work, "/dev", one_file_system=True).open() as capture:
        assert isinstance(capture.payload, Tree)
        assert "/dev/shm" in capture.payload.exclude
    assert any("/dev/shm" in n for n in source(work, "/dev", one_file_system=True).probe().notes)
    with source(work, "/dev", "/dev/shm", one_file_system=True).open() as capture:
        assert isinstance(capture.payload, Tree)
        assert "/dev/shm" not in capture.payload.exclude


def grow(root: Path) -> None:
    with (root / "top").open("a") as file:
        file.write("more")


def rewrite_with_the_same_size_and_time(root: Path) -> None:
    info = (root / "top").stat()
    (root / "top").write_text("TOP")
    os.utime(root / "top", ns=(info.st_atime_ns, info.st_mtime_ns))


def replace(root: Path) -> None:
    (root / "new").write_text("top")
    (root / "new").rename(root / "top")


def remove(root: Path) -> None:
    (root / "top").unlink()


def change_mode(root: Path) -> None:
    (root / "top").chmod(0o600)


@pytest.mark.parametrize(
    "change", [grow, rewrite_with_the_same_size_and_time, replace, remove, change_mode]
)
@pytest.mark.parametrize("when", ["before the digest", "after the digest"])
def test_files_changing_during_storing_are_volatile_and_pass(
    change: Callable[[Path], None], when: str, work: Workplace, root: Path
) -> None:
    with source(work, root).open() as capture:
        # What the repository reads: some state before the change.
        shutil.copytree(root, root.with_name("kept"))
        if when == "before the digest":
            change(root)
        fingerprint = capture.fingerprint()
        if when == "after the digest":
            change(root)
        described = capture.verify(StoredSnapshot("s", 0, 0, files=6), fingerprint)
    assert isinstance(described, TreeFingerprint)
    volatile = {p[len(str(root)) + 1 :] for p, e in described.entries.items() if e.volatile}
    assert "top" in volatile
    assert volatile <= {"", "top"}
    assert not described.entries[f"{root}/a/one"].volatile


def test_files_seen_only_once_are_named_and_pass(work: Workplace, root: Path) -> None:
    with source(work, root).open() as capture:
        fingerprint = capture.fingerprint()
        (root / "d" / "came").mkdir()
        (root / "d" / "came" / "x").write_text("x")
        (root / "a" / "swap").write_text("x")
        stored = root.with_name("stored")
        shutil.copytree(root, stored)
        (root / "a" / "swap").unlink()
        snapshot = taken(capture, StoredSnapshot("s", 0, 0, files=6))
        assert fingerprint.entries.keys() < tree_of(snapshot).entries.keys()
    sandbox = KIND.sandbox(component(root), snapshot, work)
    shutil.rmtree(root)
    stored.rename(root)
    lay(root, sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    own, *parts = check(snapshot, sandbox.inspector(), is_root=True)
    assert own.verdict is CheckVerdict.PASSED, own.observed
    (part,) = parts
    assert part.name == "as at backup: changed during the capture"
    assert part.verdict is CheckVerdict.NOT_RUN
    for name in ("came", "swap"):
        assert name in part.observed


def test_a_steady_tree_has_nothing_volatile_although_it_was_just_written(
    work: Workplace, root: Path
) -> None:
    for n in range(50):
        (root / "top").write_text(str(n))
        assert not any(e.volatile for e in tree_of(take(work, root)).entries.values())


def test_a_path_that_vanishes_while_it_is_captured_is_an_error(work: Workplace, root: Path) -> None:
    with source(work, root / "d", root / "a").open() as capture:
        shutil.rmtree(root / "d")
        fingerprint = capture.fingerprint()
        with pytest.raises(SourceError, match="was removed during the backup"):
            capture.verify(StoredSnapshot("s", 0, 0, files=4), fingerprint)


def test_nothing_stored_of_several_files_is_an_error(work: Workplace, root: Path) -> None:
    with (
        source(work, root).open() as capture,
        pytest.raises(SourceError, match="restic did not store any of 6 files"),
    ):
        capture.verify(StoredSnapshot("s", 0, 0, files=0), None)


@as_root
def test_files_that_drd_cannot_read_are_named_by_doctor_and_fingerprint(
    work: Workplace, root: Path, short_tmp: Path
) -> None:
    short_tmp.chmod(0o755)
    (root / "top").chmod(0o600)
    (root / "d").chmod(0o700)
    with acting_as(NOBODY):
        bad = [f for f in source(work, root).doctor() if f.failed]
        assert "CAP_DAC_READ_SEARCH" in bad[0].remedy
        assert f"{root}/top" in bad[0].text
        tree = tree_of(take(work, root))
    assert tree.not_reached.keys() == {f"{root}/top", f"{root}/d"}
    assert tree.entries[f"{root}/top"].digest is None


def test_many_files_take_little_memory(work: Workplace, short_tmp: Path) -> None:
    root = short_tmp / "many"
    for directory in range(20):
        (root / str(directory)).mkdir(parents=True)
        for name in range(250):
            (root / str(directory) / f"file-number-{name}").touch()
    tracemalloc.start()
    try:
        take(work, root)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 5000 < 1100, f"{peak / 5000:.0f} bytes an entry"


def test_a_sweep_removes_restored_files_of_a_killed_drill(work: Workplace, root: Path) -> None:
    lay(root, work.directory / LANDING)
    (said,) = KIND.sweep(work.directory)
    assert "restored files" in said
    assert list(work.directory.iterdir()) == []


def test_doctor_names_a_path_that_became_a_link_to_what_is_not_backed_up(
    work: Workplace, root: Path
) -> None:
    assert [f.severity for f in source(work, root).doctor()] == ["ok"]
    moved = root.with_name("moved")
    root.rename(moved)
    root.symlink_to(moved)
    beside = root.with_name("beside")
    beside.mkdir()
    (beside / "file").touch()
    (warned,) = [f for f in source(work, root, beside).doctor() if f.severity == "warning"]
    assert warned.text == f"{root} is a symlink to {moved}, and drd backs up only the link"
    assert warned.remedy == f"write {moved} into `paths` of the component as well"
    both = source(work, root, moved)
    assert [f.severity for f in both.doctor()] == ["ok"]


@pytest.mark.parametrize("there", [True, False])
def test_a_component_that_became_only_a_link_is_not_captured_unless_that_is_meant(
    work: Workplace, root: Path, there: bool
) -> None:
    moved = root.with_name("moved")
    if there:
        root.rename(moved)
    else:
        shutil.rmtree(root)
    root.symlink_to(moved)
    with (
        pytest.raises(SourceError, match=f"{root} is a symlink to {moved}, and component conf"),
        source(work, root).open(),
    ):
        pass
    (bad,) = [f for f in source(work, root).doctor() if f.failed]
    assert str(moved) in bad.remedy
    meant = take(work, root, may_be_empty=True)
    assert tree_of(meant).says_nothing(may_be_empty=True) == ""
    assert f"contains only the link {root}, not" in tree_of(meant).says_nothing(may_be_empty=False)
    (root.parent / "file").touch()
    beside = tree_of(take(work, root, root.parent / "file"))
    assert beside.says_nothing(may_be_empty=False) == ""
