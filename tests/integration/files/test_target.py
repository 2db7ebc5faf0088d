"""Named directories as targets: complete or as before, whatever happens in between."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import RepositoryDamaged, TargetError, TargetNotEmpty
from drd.model.snapshot import ComponentSnapshot
from drd.model.strict import UnexpectedValue
from drd.ports import Destination, Workplace, no_progress
from tests.account_support import host_with
from tests.death_support import Died, every_death
from tests.integration.files.support import KIND, check, restore_components, take, target, tree_of
from tests.restic_support import place
from tests.user_support import NOBODY, acting_as, as_root


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.fixture
def root(short_tmp: Path) -> Path:
    (short_tmp / "src" / "etc" / "app").mkdir(parents=True)
    (short_tmp / "src" / "etc" / "app" / "conf").write_text("x = 1")
    (short_tmp / "src" / "var").mkdir()
    return short_tmp / "src"


@pytest.fixture
def snapshot(root: Path, short_tmp: Path) -> ComponentSnapshot:
    return take(place(short_tmp / "w0"), root)


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def whole(destination: Destination, snapshot: ComponentSnapshot) -> bool:
    return destination.inspector().fingerprint(tree_of(snapshot), 60) == tree_of(snapshot)


def test_a_program_that_has_files_open_is_named_before_and_afterwards(
    short_tmp: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    (short_tmp / "t").mkdir()
    (short_tmp / "t" / "log").write_text("x")
    destination = target(short_tmp / "t", work, keep=True)
    # As a program of somebody else: its parent has ended.
    script = f"tail -f {short_tmp}/t/log >{short_tmp}/seen 2>&1 & echo $!"
    reader = int(subprocess.run(["sh", "-c", script], check=True, capture_output=True).stdout)
    try:
        while (short_tmp / "seen").read_text() != "x":
            time.sleep(0.01)
        (used,) = destination.in_use(snapshot)
        assert used.words == f"{short_tmp}/t is in use by tail (process {reader})"
        assert not used.former
        destination.preflight(snapshot, overwrite=True)
        restore_components(destination, snapshot, root)
        (used,) = destination.in_use(snapshot)
        assert used.what == f"{short_tmp}/t.drd_run1_before"
        assert used.former
    finally:
        os.kill(reader, signal.SIGKILL)
    assert destination.now_at(snapshot).places == (f"{short_tmp}/t{root}",)


def test_a_new_directory_is_made_as_the_last_act(
    short_tmp: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    (short_tmp / "t").mkdir()
    new = short_tmp / "t" / "new"
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=False)
    landing = destination.landing()
    assert landing.parent == new.parent
    assert "drd_run1" in landing.name
    assert not new.exists()
    restore_components(destination, snapshot, root)
    assert names(new.parent) == ["new"]
    assert stat.S_IMODE(new.stat().st_mode) == 0o755
    assert (new / str(root).lstrip("/") / "etc" / "app" / "conf").read_text() == "x = 1"
    assert destination.inspector().environment == {"DRD_PATH": str(new)}
    assert check(snapshot, destination.inspector())[0].verdict == "passed"


def test_an_empty_directory_keeps_its_mode_and_owner(
    short_tmp: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    new = short_tmp / "t" / "new"
    new.mkdir(parents=True)
    new.chmod(0o2750)
    if os.geteuid() == 0:
        os.chown(new, 1234, 4321)
        new.chmod(0o2750)
    before = new.stat()
    destination = target(new, work)
    assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
    restore_components(destination, snapshot, root)
    after = new.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert names(new.parent) == ["new"]


def test_the_number_of_existing_entries_is_reported(
    short_tmp: Path, work: Workplace, snapshot: ComponentSnapshot
) -> None:
    new = short_tmp / "new"
    for name in ("a", "b", ".c"):
        (new / name).mkdir(parents=True)
    with pytest.raises(TargetNotEmpty, match=r"is not empty \(3 entries\)"):
        target(new, work).preflight(snapshot, overwrite=False)
    (short_tmp / "file").touch()
    with pytest.raises(TargetError, match="is not a directory"):
        target(short_tmp / "file", work).preflight(snapshot, overwrite=False)


@pytest.mark.parametrize("where", ["/", "the work directory", "no parent"])
def test_places_that_cannot_be_replaced_are_findings(
    where: str, short_tmp: Path, work: Workplace, snapshot: ComponentSnapshot
) -> None:
    path = {"/": Path("/"), "the work directory": short_tmp, "no parent": short_tmp / "x" / "new"}
    (finding,) = target(path[where], work).preflight(snapshot, overwrite=True)
    assert finding.failed
    assert finding.remedy


def test_a_symlink_at_the_target_stays(
    short_tmp: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    (short_tmp / "disk" / "real").mkdir(parents=True)
    (short_tmp / "new").symlink_to("disk/real")
    destination = target(short_tmp / "new", work)
    destination.preflight(snapshot, overwrite=False)
    restore_components(destination, snapshot, root)
    assert (short_tmp / "new").is_symlink()
    assert whole(destination, snapshot)


def test_a_lost_path_is_damage_and_leaves_the_target_as_it_was(
    short_tmp: Path, work: Workplace, snapshot: ComponentSnapshot
) -> None:
    new = old_tree(short_tmp)
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=True)
    destination.landing()
    with pytest.raises(RepositoryDamaged, match=r"restic restored snapshot .* without"):
        destination.restore(snapshot, {}, on_progress=lambda _: None)
    KIND.sweep(work.directory)
    assert names(new.parent) == ["new"]
    assert is_old(new)


def old_tree(base: Path) -> Path:
    new = base / "t" / "new"
    (new / "old").mkdir(parents=True)
    (new / "old" / "file").write_text("old")
    (new / "second").write_text("old")
    return new


def is_old(new: Path) -> bool:
    return names(new) == ["old", "second"] and (new / "old" / "file").read_text() == "old"


@pytest.fixture(params=["by rename", "inside"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of publishing; the second as at a mount point."""
    if request.param == "inside":
        monkeypatch.setattr(Path, "is_mount", lambda self: self.name == "new")
    return str(request.param)


def test_overwriting_replaces_the_old_tree_whole(
    way: str, short_tmp: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    new = old_tree(short_tmp)
    (new / "lost+found").mkdir()
    inode = new.stat().st_ino
    destination = target(new, work)
    destination.preflight(snapshot, overwrite=True)
    restore_components(destination, snapshot, root)
    assert whole(destination, snapshot)
    assert names(new.parent) == ["new"]
    top = str(root).split("/")[1]
    assert names(new) == (["lost+found", top] if way == "inside" else [top])
    assert (new.stat().st_ino == inode) == (way == "inside")


def test_killed_anywhere_and_run_again_the_end_is_the_same(
    way: str, short_tmp: Path, root: Path, snapshot: ComponentSnapshot
) -> None:
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        new = old_tree(base)
        work = place(base / "w")
        target(new, work).preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(target(new, work), snapshot, root)
        again = target(new, work)
        restore_components(again, snapshot, root)
        assert names(base / "t") == ["new"], death.effect
        assert names(new) == [str(root).split("/")[1]], death.effect
        assert whole(again, snapshot)
        assert not any(f.failed for f in again.preflight(snapshot, overwrite=False))
        assert names(work.directory) == ["target.json"]


def test_a_kill_anywhere_and_a_sweep_lose_no_old_data(
    way: str, short_tmp: Path, root: Path, snapshot: ComponentSnapshot
) -> None:
    seen = set()
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        new = old_tree(base)
        work = place(base / "w")
        target(new, work).preflight(snapshot, overwrite=True)
        with suppress(Died), death.active():
            restore_components(target(new, work), snapshot, root)
        said = KIND.sweep(work.directory)
        kept = new / ".drd_run1_before"
        if is_old(new):
            seen.add("old")
        elif kept.is_dir():
            assert is_old(kept), death.effect
            assert any(str(kept) in sentence for sentence in said)
            seen.add("kept")
        else:
            assert whole(target(new, work), snapshot), death.effect
            seen.add("new")
        assert names(base / "t") == ["new"], death.effect
    assert {"old", "new"} <= seen
    assert ("kept" in seen) == (way == "inside")


@pytest.fixture
def mount(short_tmp: Path) -> Iterator[Path]:
    place = short_tmp / "mnt"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this user cannot mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_real_mount_point_is_filled_from_within(
    mount: Path, work: Workplace, root: Path, snapshot: ComponentSnapshot
) -> None:
    (mount / "theirs").touch()
    with pytest.raises(TargetNotEmpty):
        target(mount, work).preflight(snapshot, overwrite=False)
    (mount / "theirs").unlink()
    destination = target(mount, work)
    assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
    restore_components(destination, snapshot, root)
    assert whole(destination, snapshot)
    assert names(mount) == [str(root).split("/")[1]]


@as_root
def test_an_empty_directory_of_ours_in_one_that_is_not_can_be_filled(
    short_tmp: Path, work: Workplace, root: Path
) -> None:
    short_tmp.chmod(0o755)
    give(root, NOBODY)
    new = short_tmp / "t" / "new"
    new.mkdir(parents=True)
    for directory in (new, work.directory):
        os.chown(directory, NOBODY, NOBODY)
    with acting_as(NOBODY):
        snapshot = take(work, root)
        destination = target(new, work)
        assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
        restore_components(destination, snapshot, root)
        assert whole(destination, snapshot)


def give(root: Path, user: int) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


@as_root
def test_a_user_who_cannot_give_files_away_is_asked_for_no_owner(
    short_tmp: Path, root: Path, snapshot: ComponentSnapshot
) -> None:
    work = place(short_tmp / "w")
    new = short_tmp / "t" / "new"
    new.parent.mkdir()
    for directory in (new.parent, work.directory):
        os.chown(directory, NOBODY, NOBODY)
    with acting_as(NOBODY):
        (bad,) = [f for f in target(new, work).preflight(snapshot, overwrite=False) if f.failed]
        assert "--no-owner" in bad.remedy
        assert f"{len(tree_of(snapshot).entries)} entries" in bad.text
        accepted = target(new, work, no_owner=True)
        assert not any(f.failed for f in accepted.preflight(snapshot, overwrite=False))
        restore_components(accepted, snapshot, root)
        rows = check(snapshot, accepted.inspector(), is_root=False)
    assert rows[0].verdict == "passed"
    assert rows[1].name.endswith("ownership")


@as_root
def test_no_owner_as_root_gives_all_to_root_and_drops_only_set_id_bits(
    short_tmp: Path, work: Workplace, root: Path
) -> None:
    give(root, 1234)
    (root / "etc" / "app" / "conf").chmod(0o4755)
    snapshot = take(work, root)

    def restore(no_owner: bool) -> Destination:
        new = short_tmp / f"new-{no_owner}"
        destination = target(new, place(short_tmp / f"w-{no_owner}"), no_owner=no_owner)
        destination.preflight(snapshot, overwrite=False)
        landing = destination.landing()
        subprocess.run(["cp", "-a", "--parents", str(root), str(landing)], check=True)
        destination.restore(snapshot, {}, on_progress=lambda _: None)
        return destination

    kept, dropped = restore(False), restore(True)
    conf = str(root).lstrip("/") + "/etc/app/conf"
    assert (Path(kept.inspector().location) / conf).stat().st_uid == 1234
    info = (Path(dropped.inspector().location) / conf).stat()
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o755)
    assert [r.name for r in check(snapshot, kept.inspector())] == ["as at backup"]
    rows = check(snapshot, dropped.inspector())
    assert [(r.name, r.verdict) for r in rows] == [
        ("as at backup", "passed"),
        ("as at backup: ownership", "not_run"),
    ]


def restore_with_owners(destination: Destination, snapshot: ComponentSnapshot, root: Path) -> None:
    """As restic does as root: with the numbers of the source."""
    destination.prepare()
    landing = destination.landing() / str(root.parent).lstrip("/")
    landing.mkdir(parents=True)
    subprocess.run(["cp", "--archive", str(root), str(landing)], check=True)
    destination.restore(snapshot, {}, on_progress=no_progress)


@as_root
def test_owners_come_back_by_name(
    short_tmp: Path, work: Workplace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The users of the source have each other's numbers here."""
    host_with(monkeypatch, {4001: "tick", 4002: "tock"}, {4003: "tick"})
    conf, other = root / "etc/app/conf", root / "var/other"
    other.write_text("y")
    (root / "var/same").hardlink_to(conf)
    for file, uid in ((conf, 4001), (other, 4002)):
        os.chown(file, uid, 4003)
        file.chmod(0o6755)
    snapshot = take(place(short_tmp / "w0"), root)
    host_with(monkeypatch, {4002: "tick", 4001: "tock"}, {4004: "tick"})
    (short_tmp / "t").mkdir()
    destination = target(short_tmp / "t", work)
    assert not [f for f in destination.preflight(snapshot, overwrite=False) if f.severity != "ok"]
    restore_with_owners(destination, snapshot, root)
    back = short_tmp / "t" / str(root).lstrip("/")
    for name, uid in (("etc/app/conf", 4002), ("var/same", 4002), ("var/other", 4001)):
        info = (back / name).stat()
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (uid, 4004, 0o6755), name
    assert [r.verdict for r in check(snapshot, destination.inspector())] == ["passed"]
    assert destination.left_to_do(snapshot) == ()
    os.chown(back / "var/other", 4002, 4004)
    (failed,) = check(snapshot, destination.inspector())
    assert "owner 4002:4004 (was 4001:4004)" in str(failed.observed)


@as_root
def test_owners_that_this_host_lacks_are_named_before_and_afterwards(
    short_tmp: Path, work: Workplace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_with(monkeypatch, {4001: "tick"}, {4003: "tick"})
    os.chown(root / "var", 4001, 4003)
    snapshot = take(place(short_tmp / "w0"), root)
    (short_tmp / "t").mkdir()
    destination = target(short_tmp / "t", work)

    def told() -> list[tuple[str, str]]:
        found = destination.preflight(snapshot, overwrite=False)
        assert {f.severity for f in found if f.code == "accounts"} <= {"warning"}
        return [(f.text, f.remedy) for f in found if f.code == "accounts"]

    host_with(monkeypatch, {}, {})
    commands = "groupadd --system --gid 4003 tick && useradd --system --uid 4001 --gid tick tick"
    lacks = "this host lacks user tick (4001), group tick (4003)"
    assert told() == [
        (f"{lacks}: the restored data will belong to a number without an account", commands)
    ]
    host_with(monkeypatch, {4001: "drd"}, {4003: "drd-operator", 4009: "tick"})
    assert told() == [
        (
            (
                "this host lacks user tick (4001). On this host, 4001 is user drd: the restored "
                "data will belong to these other accounts"
            ),
            "useradd --system tick",
        )
    ]
    host_with(monkeypatch, {}, {})
    restore_with_owners(destination, snapshot, root)
    info = (short_tmp / "t" / str(root / "var").lstrip("/")).stat()
    assert (info.st_uid, info.st_gid) == (4001, 4003)
    (task,) = destination.left_to_do(snapshot)
    assert (task.code, task.command) == ("accounts", commands)
    assert str(task.text).startswith("create user tick (4001), group tick (4003) before ")
    older = replace(snapshot, facts={k: v for k, v in snapshot.facts.items() if k != "owners"})
    (task,) = destination.left_to_do(older)
    assert str(task.command).endswith("useradd --system --uid 4001 NAME")
    with pytest.raises(UnexpectedValue, match="not a valid name of an account"):
        KIND.require_written(
            replace(
                snapshot, facts={**snapshot.facts, "owners": {"users": {"1": "a b"}, "groups": {}}}
            ),
            {},
        )
