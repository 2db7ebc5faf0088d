"""Everything that a directory can hold goes into the real restic and comes back the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drd.kinds.files import destination as destinations
from drd.model.run import CheckVerdict
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Workplace, no_progress
from tests.integration.files.support import (
    KIND,
    ODD_NAMES,
    check,
    component,
    make_zoo,
    source,
    take,
    taken,
    target,
    tree_of,
)
from tests.restic_support import Restic, place
from tests.user_support import NOBODY, acting_as, as_root


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.fixture
def zoo(short_tmp: Path) -> Path:
    make_zoo(short_tmp / "zoo")
    return short_tmp / "zoo"


def store(restic: Restic, work: Workplace, *paths: Path, **settings: object) -> ComponentSnapshot:
    with source(work, *paths, **settings).open() as capture:
        return taken(capture, restic.store(capture.payload))


def test_one_of_everything_comes_back(
    restic: Restic, work: Workplace, zoo: Path, short_tmp: Path
) -> None:
    snapshot = store(restic, work, zoo)
    saved = tree_of(snapshot)
    assert saved.not_reached == {}
    assert not any(e.volatile for e in saved.entries.values())
    kinds = {os.path.basename(p): e.kind for p, e in saved.entries.items()}  # noqa: PTH119
    assert kinds["fifo"] == "fifo"
    assert kinds["dangling"] == "symlink"
    assert "socket" not in kinds
    assert {os.fsdecode(n) for n in ODD_NAMES} <= kinds.keys()
    for destination in (
        KIND.sandbox(component(zoo), snapshot, work),
        target(short_tmp / "new", work),
    ):
        assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
        restic.restore(str(snapshot.snapshot), destination.landing())
        restored = destination.restore(snapshot, {}, on_progress=no_progress)
        assert restored.not_restored == ()
        now = destination.inspector().fingerprint(saved, 60)
        assert now == saved
        (row,) = check(snapshot, destination.inspector())
        assert row.verdict is CheckVerdict.PASSED
        assert row.observed.endswith("0 differ")


def damage_contents(tree: Path) -> None:
    (tree / "plain").write_text("Plain\n")


def damage_size(tree: Path) -> None:
    (tree / "nothing").write_text("x")


def lose_file(tree: Path) -> None:
    (tree / "sub" / "closed" / "inner").unlink()


def lose_empty_directory(tree: Path) -> None:
    (tree / "empty").rmdir()


def add_file(tree: Path) -> None:
    (tree / "sub" / "extra").touch()


def change_mode(tree: Path) -> None:
    (tree / "plain").chmod(0o600)


def change_directory_mode(tree: Path) -> None:
    (tree / "empty").chmod(0o755)


def turn_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("nothing")


def follow_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").write_text("plain\n")


def part_hard_link(tree: Path) -> None:
    data = (tree / "sub" / "same").read_bytes()
    (tree / "sub" / "same").unlink()
    (tree / "sub" / "same").write_bytes(data)
    os.setxattr(tree / "sub" / "same", "user.note", b"kept\0bytes")


def lose_attribute(tree: Path) -> None:
    os.removexattr(tree / "sub", "user.note")


def rename_odd(tree: Path) -> None:
    odd = os.fsencode(tree) + b"/" + ODD_NAMES[0]
    os.rename(odd, odd + b"x")  # noqa: PTH104


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_contents, "plain: contents"),
        (damage_size, "nothing: 1 bytes (was 0)"),
        (lose_file, "inner: missing"),
        (lose_empty_directory, "empty: missing"),
        (add_file, "extra: did not exist at backup"),
        (change_mode, "plain: mode 0600 (was 0644)"),
        (change_directory_mode, "empty: mode 0755 (was 1777)"),
        (turn_link, "link: link target"),
        (follow_link, "link: is a file, but was a symlink"),
        (part_hard_link, "same: hard link"),
        (lose_attribute, "sub: extended attributes"),
        (rename_odd, r"not\xffutf-8\xfe: missing"),
    ],
)
def test_each_kind_of_damage_fails_the_check(
    damage: Callable[[Path], None], said: str, restic: Restic, work: Workplace, zoo: Path
) -> None:
    snapshot = store(restic, work, zoo)
    sandbox = KIND.sandbox(component(zoo), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    inspector = sandbox.inspector()
    damage(Path(inspector.location) / str(zoo).lstrip("/"))
    (row, *_) = check(snapshot, inspector)
    assert row.verdict is CheckVerdict.FAILED
    assert said in row.observed


@as_root
def test_an_owner_counts_as_root_and_is_a_part_not_run_otherwise(
    restic: Restic, work: Workplace, zoo: Path
) -> None:
    snapshot = store(restic, work, zoo)
    sandbox = KIND.sandbox(component(zoo), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    tree = Path(sandbox.inspector().location) / str(zoo).lstrip("/")
    os.chown(tree / "link", 0, 0, follow_symlinks=False)
    os.removexattr(tree / "set-id", "trusted.note")
    (as_root_row,) = check(snapshot, sandbox.inspector(), is_root=True)
    assert as_root_row.verdict is CheckVerdict.FAILED
    assert "link: owner 0:0 (was 1234:4321)" in as_root_row.observed
    assert "set-id: extended attributes" in as_root_row.observed
    own, part = check(snapshot, sandbox.inspector(), is_root=False)
    assert own.verdict is CheckVerdict.PASSED
    assert part.part
    assert part.name == "as at backup: ownership"
    assert part.verdict is CheckVerdict.NOT_RUN


@as_root
def test_a_drill_without_root_passes_and_names_ownership(zoo: Path, short_tmp: Path) -> None:
    (zoo / "null").unlink()
    work = place(short_tmp / "w")
    (short_tmp / "r").mkdir()
    own = Restic(short_tmp / "r")
    snapshot = store(own, work, zoo)
    for path in (work.directory, short_tmp / "r", *(short_tmp / "r").rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    sandbox = KIND.sandbox(component(zoo), snapshot, work)
    with acting_as(NOBODY):
        assert not any(f.failed for f in sandbox.preflight(snapshot, overwrite=False))
        own.restore(str(snapshot.snapshot), sandbox.landing())
        restored = sandbox.restore(snapshot, {}, on_progress=no_progress)
        rows = check(snapshot, sandbox.inspector(), is_root=False)
        sandbox.close()
    assert "owners" in restored.not_restored[0]
    assert rows[0].verdict is CheckVerdict.PASSED, rows[0].observed
    parts = {r.name.partition(": ")[2]: r.observed for r in rows[1:]}
    assert parts.keys() == {"ownership", "could not be read"}
    assert "nothing" in parts["could not be read"]
    assert list(work.directory.iterdir()) == []


@as_root
def test_device_nodes_are_reported_before_a_recovery_without_root_but_not_before_a_drill(
    work: Workplace, zoo: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = take(work, zoo)
    with acting_as(NOBODY):
        drill = KIND.sandbox(component(zoo), snapshot, work).preflight(snapshot, overwrite=False)
    assert not [f for f in drill if f.failed], "a drill leaves them out and names them"
    recovery = target(short_tmp / "there", work)
    monkeypatch.setattr(destinations, "is_root", lambda: False)
    (bad,) = [f for f in recovery.preflight(snapshot, overwrite=False) if f.failed]
    assert "null" in bad.text


def test_excluded_files_are_in_neither_the_repository_nor_the_fingerprint(
    restic: Restic, work: Workplace, short_tmp: Path
) -> None:
    root = short_tmp / "src"
    (root / "cache").mkdir(parents=True)
    (root / "cache" / "big").write_text("x")
    (root / "a.tmp").write_text("x")
    (root / "*star?[x]").mkdir()
    (root / "*star?[x]" / "b.tmp").write_text("x")
    (root / "*star?[x]" / "kept").write_text("x")
    (root / "1star2x").write_text("kept: not the literal name")
    (root / "back\\slash.tmp").write_text("x")
    snapshot = store(restic, work, root, exclude=["*.tmp", f"{root}/cache"])
    names = {p[len(str(root)) :] for p in tree_of(snapshot).entries}
    assert names == {"", "/*star?[x]", "/*star?[x]/kept", "/1star2x"}
    sandbox = KIND.sandbox(component(root), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    assert sandbox.inspector().fingerprint(tree_of(snapshot), 60) == tree_of(snapshot)


def test_paths_of_several_places_and_depths_come_back_with_their_hard_links(
    restic: Restic, work: Workplace, short_tmp: Path
) -> None:
    for name in ("z/deep", "a.b/c", "a/x"):
        (short_tmp / name).mkdir(parents=True)
        (short_tmp / name / "own").write_text(name)
    os.link(short_tmp / "z" / "deep" / "own", short_tmp / "a" / "x" / "linked")
    os.link(short_tmp / "z" / "deep" / "own", short_tmp / "a.b" / "c" / "linked")
    paths = [short_tmp / "z", short_tmp / "a.b" / "c", short_tmp / "a" / "x", short_tmp / "z/deep"]
    snapshot = store(restic, work, *paths)
    sandbox = KIND.sandbox(component(*paths), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    assert sandbox.inspector().fingerprint(tree_of(snapshot), 60) == tree_of(snapshot)
    assert len([e for e in tree_of(snapshot).entries.values() if e.link]) == 2


def test_a_symlink_as_path_is_stored_as_the_link(
    restic: Restic, work: Workplace, short_tmp: Path
) -> None:
    (short_tmp / "real").mkdir()
    (short_tmp / "real" / "inside").write_text("x")
    (short_tmp / "link").symlink_to("real")
    (short_tmp / "beside").write_text("y")
    paths = (short_tmp / "link", short_tmp / "beside")
    assert "the link itself" in source(work, *paths).probe().notes[0]
    snapshot = store(restic, work, *paths)
    kinds = {path: entry.kind for path, entry in tree_of(snapshot).entries.items()}
    assert kinds == {f"{short_tmp}/link": "symlink", f"{short_tmp}/beside": "file"}
    sandbox = KIND.sandbox(component(*paths), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    (row, *_) = check(snapshot, sandbox.inspector())
    assert row.verdict is CheckVerdict.PASSED


def test_a_large_sparse_file_comes_back(restic: Restic, work: Workplace, short_tmp: Path) -> None:
    root = short_tmp / "big"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        file.write(b"head")
        file.truncate(300 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"tail")
    snapshot = store(restic, work, root)
    sandbox = KIND.sandbox(component(root), snapshot, work)
    restic.restore(str(snapshot.snapshot), sandbox.landing())
    sandbox.restore(snapshot, {}, on_progress=no_progress)
    (row, *_) = check(snapshot, sandbox.inspector())
    assert row.verdict is CheckVerdict.PASSED
    sandbox.close()
