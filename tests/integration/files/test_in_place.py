"""Trees at their own places: each path replaced whole, what was there beside it, whenever drd
dies."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drd.errors import TargetNotEmpty
from drd.kinds import kept_files
from drd.kinds.kept_files import KeptPlaces
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import NamedDestination, RestoreOptions, Workplace, no_progress
from tests.death_support import Died, every_death
from tests.integration.files.support import KIND, component, take, tree_of
from tests.restic_support import place


class World:
    """A directory and a file of one component, as they were at a backup and then changed."""

    def __init__(self, base: Path, *more: Path) -> None:
        (base / "a" / "sub").mkdir(parents=True)
        (base / "a" / "sub" / "conf").write_text("saved")
        (base / "b").write_text("saved")
        for path in more:
            (path / "conf").write_text("saved")
        self.roots = [base / "a", base / "b", *more]
        self.what: Component = component(*self.roots)
        self.snapshot: ComponentSnapshot = take(place(base / "w0"), *self.roots)
        self.work: Workplace = place(base / "w", "4f2a1c3e")
        self._saved = base / "saved"
        for root in self.roots:
            self._copy(root, self._saved / str(root).lstrip("/"))
        (base / "a" / "sub" / "conf").write_text("changed")
        (base / "a" / "new").touch()
        (base / "b").write_text("changed")
        for path in more:
            (path / "conf").write_text("changed")

    @staticmethod
    def _copy(root: Path, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        if root.is_dir():
            shutil.copytree(root, to)
        else:
            shutil.copy2(root, to)

    def destination(self) -> NamedDestination:
        return KIND.target(self.what, self.what.settings, self.work, RestoreOptions(keep=True))

    def kept(self) -> KeptPlaces:
        return KIND.kept(self.what, self.what.settings, self.snapshot, self.work.run)

    def restore_components(self) -> None:
        destination = self.destination()
        landing = destination.landing()
        for root in self.roots:
            self._copy(self._saved / str(root).lstrip("/"), landing / str(root).lstrip("/"))
        destination.restore(self.snapshot, {}, on_progress=no_progress)

    def contents(self) -> list[str]:
        files = [r / "sub" / "conf" if r.name == "a" else r for r in self.roots]
        return [(f / "conf" if f.is_dir() else f).read_text() for f in files]

    def is_saved(self) -> bool:
        found = self.destination().inspector().fingerprint(tree_of(self.snapshot), 60)
        return found == tree_of(self.snapshot)


@pytest.fixture(params=["anywhere", "below /etc"])
def base(request: pytest.FixtureRequest, short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory; also one below which programs use whatever has a name there."""
    if request.param == "below /etc":
        monkeypatch.setattr(kept_files, "READ_BY_NAME", (short_tmp,))
    return short_tmp


def test_a_kill_anywhere_ends_with_new_data_and_a_kept_copy(base: Path) -> None:
    for death in every_death():
        world = World(base / f"d{death.effect}")
        world.destination().preflight(world.snapshot, overwrite=True)
        with suppress(Died), death.active():
            world.restore_components()
        world.restore_components()
        assert world.is_saved(), death.effect
        world.kept().swap(back=True)
        assert world.contents() == ["changed", "changed"], death.effect
        assert (world.roots[0] / "new").exists()
        world.kept().discard()
        names = sorted(p.name for p in world.roots[0].parent.iterdir())
        assert names == ["a", "b", "saved", "w", "w0"], death.effect


def test_a_kill_anywhere_and_a_sweep_leave_nothing_partial(base: Path) -> None:
    seen = set()
    for death in every_death():
        world = World(base / f"d{death.effect}")
        world.destination().preflight(world.snapshot, overwrite=True)
        with suppress(Died), death.active():
            world.restore_components()
        KIND.sweep(world.work.directory)
        seen |= set(world.contents())
        world.kept().swap(back=True)
        assert world.contents() == ["changed", "changed"], death.effect
        world.kept().discard()
        names = sorted(p.name for p in world.roots[0].parent.iterdir())
        assert names == ["a", "b", "saved", "w", "w0"], death.effect
    assert seen == {"changed", "saved"}


def test_a_kept_copy_is_no_second_cluster_for_programs_that_read_all_names(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's tools take each name in /etc/postgresql/17 for a cluster that has this file, hidden
    names as well."""
    monkeypatch.setattr(kept_files, "READ_BY_NAME", (short_tmp,))
    world = World(short_tmp / "17")
    world.destination().preflight(world.snapshot, overwrite=True)
    world.restore_components()
    clusters = [p.name for p in (short_tmp / "17").iterdir() if (p / "sub/conf").exists()]
    assert clusters == ["a"]
    room = short_tmp / "17/.drd_4f2a1c3e_aside"
    assert [one.kept for one in world.kept().held()] == [
        f"{room}/a.drd_4f2a1c3e_before", f"{room}/b.drd_4f2a1c3e_before"
    ]  # fmt: skip
    assert room.stat().st_mode & 0o777 == 0o755, "readiness by drd's user reminds of it"
    later = take(place(short_tmp / "w1"), short_tmp / "17")
    assert not [path for path in tree_of(later).entries if "drd_4f2a1c3e" in path]


def test_the_kept_copy_of_an_earlier_drd_beside_its_place_is_found(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(short_tmp / "17")
    world.destination().preflight(world.snapshot, overwrite=True)
    world.restore_components()
    monkeypatch.setattr(kept_files, "READ_BY_NAME", (short_tmp,))
    world.kept().swap(back=True)
    assert world.contents() == ["changed", "changed"]
    world.kept().swap(back=False)
    assert world.contents() == ["saved", "saved"]
    world.kept().discard()
    assert not [*(short_tmp / "17").glob("*drd_*")]


def test_existing_entries_are_counted_and_refused(short_tmp: Path) -> None:
    world = World(short_tmp / "x")
    with pytest.raises(TargetNotEmpty, match=r"a is not empty \(2 entries\)"):
        world.destination().preflight(world.snapshot, overwrite=False)


@pytest.fixture
def mount(short_tmp: Path) -> Iterator[Path]:
    there = short_tmp / "mnt"
    there.mkdir()
    words = ["mount", "-t", "tmpfs", "tmpfs", str(there)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot mount")
    try:
        yield there
    finally:
        subprocess.run(["umount", str(there)], check=True)


def test_a_mount_point_is_replaced_from_within_and_comes_back(mount: Path, short_tmp: Path) -> None:
    world = World(short_tmp / "x", mount)
    assert not any(f.failed for f in world.destination().preflight(world.snapshot, overwrite=True))
    world.restore_components()
    assert world.is_saved()
    assert mount.is_mount()
    world.kept().swap(back=True)
    assert world.contents() == ["changed"] * 3
    world.kept().discard()
    assert [p.name for p in mount.iterdir()] == ["conf"]


def test_a_mount_within_a_path_is_refused(mount: Path, short_tmp: Path) -> None:
    what = component(mount.parent)
    snapshot = take(place(short_tmp / "w0"), mount)
    work = place(Path("/var/tmp") / f"drd-{short_tmp.name}")
    try:
        destination = KIND.target(what, what.settings, work, RestoreOptions(keep=True))
        snapshot.facts["paths"] = [str(mount.parent)]  # type: ignore[index]
        (bad,) = [f for f in destination.preflight(snapshot, overwrite=True) if f.failed]
        assert bad.text == f"another file system is mounted at {mount}, within {mount.parent}"
        assert f"umount {mount}" in bad.remedy
    finally:
        shutil.rmtree(work.directory)


def test_a_file_system_that_may_only_be_read_is_named(mount: Path, short_tmp: Path) -> None:
    (mount / "t").mkdir()
    (mount / "t" / "conf").touch()
    world = World(short_tmp / "x", mount / "t")
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    (bad,) = [f for f in world.destination().preflight(world.snapshot, overwrite=True) if f.failed]
    assert "is on a read-only file system" in bad.text
    assert "findmnt" in bad.remedy
