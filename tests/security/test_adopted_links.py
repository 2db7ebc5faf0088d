"""Trees from copies that somebody else has made: a link in one leads neither drd nor a check out of
it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drd.errors import RepositoryDamaged, TargetError
from drd.kinds.files import destination as files
from drd.kinds.files.by_hand import by_hand
from drd.kinds.files.settings import FilesTarget
from drd.model.first_checks import has_data
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Destination, RestoreOptions, no_progress
from drd.repositories.adopted.data import require_data
from tests.integration.files.support import KIND, component, take
from tests.restic_support import place


class Host:
    """A service's `app/etc`, and a `victim` with a directory of the same name that is no part of
    it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for name in ("app", "victim"):
            (base / name / "etc").mkdir(parents=True)
            (base / name / "etc/conf").write_text(name)
        self.what = component(base / "app/etc")
        self.snapshot: ComponentSnapshot = take(place(base / "w0"), base / "app/etc")
        self.work = place(base / "w", "4f2a1c3e")

    def drill(self) -> Destination:
        return KIND.sandbox(self.what, self.snapshot, self.work)

    def in_place(self) -> Destination:
        made = KIND.target(self.what, self.what.settings, self.work, RestoreOptions(keep=True))
        made.preflight(self.snapshot, overwrite=True)
        return made

    def target(self) -> Destination:
        settings = FilesTarget(path=str(self.base / "target"))
        made = KIND.target(self.what, settings, self.work, RestoreOptions())
        made.preflight(self.snapshot, overwrite=False)
        return made

    def part(self) -> Destination:
        part, self.snapshot = KIND.narrow(
            self.snapshot, Part(paths=(f"{self.base}/app/etc/conf",), into=f"{self.base}/into")
        )
        made = KIND.target(self.what, self.what.settings, self.work, RestoreOptions(part=part))
        made.preflight(self.snapshot, overwrite=False)
        return made

    def contents(self) -> dict[str, str]:
        kept = [self.base / "app", self.base / "victim"]
        return {str(p): p.read_text() for top in kept for p in top.rglob("conf")}


WAYS = [Host.drill, Host.in_place, Host.target, Host.part]


@pytest.mark.parametrize("way", WAYS)
def test_a_link_in_place_of_a_parent_of_a_path_is_not_restored_data(
    short_tmp: Path, way: Callable[[Host], Destination]
) -> None:
    host = Host(short_tmp)
    before = host.contents()
    destination = way(host)
    landed = destination.landing() / str(short_tmp).lstrip("/")
    landed.mkdir(parents=True)
    (landed / "app").symlink_to(short_tmp / "victim")
    with pytest.raises(RepositoryDamaged, match=r"/app on the way to \S+ is a symbolic link"):
        destination.restore(host.snapshot, {}, on_progress=no_progress)
    assert host.contents() == before
    assert not os.path.lexists(short_tmp / "target/app")
    assert not os.path.lexists(short_tmp / "into/conf")


def test_a_link_in_place_of_a_path_that_is_a_mount_point_moves_no_entries_of_where_it_leads(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_cannot_rename", lambda _: True)
    host = Host(short_tmp)
    before = host.contents()
    destination = host.in_place()
    landed = destination.landing() / f"{short_tmp}/app".lstrip("/")
    landed.mkdir(parents=True)
    (landed / "etc").symlink_to(short_tmp / "victim/etc")
    with pytest.raises(TargetError, match="not a directory in the restore point"):
        destination.restore(host.snapshot, {}, on_progress=no_progress)
    assert host.contents() == before


def _link(place: Path) -> None:
    place.symlink_to("/etc")


def _with_empty_directories(place: Path) -> None:
    (place / "mount").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_link, "/srv/app is a symbolic link to /etc in the copy"),
        (Path.touch, "/srv/app is empty in the copy"),
        (_with_empty_directories, "/srv/app is an empty directory in the copy"),
        (os.mkfifo, "/srv/app is neither a file nor a directory in the copy"),
    ],
)
def test_a_restored_path_that_holds_no_data_is_damage(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    (tmp_path / "srv").mkdir()
    make(tmp_path / "srv/app")
    with pytest.raises(RepositoryDamaged, match=said):
        require_data(tmp_path, ("/srv/app",), "copy a")


def test_a_restored_link_to_another_path_of_the_component_is_data(tmp_path: Path) -> None:
    (tmp_path / "srv/releases/5").mkdir(parents=True)
    (tmp_path / "srv/releases/5/app").write_text("x")
    (tmp_path / "srv/current").symlink_to("releases/5")
    require_data(tmp_path, ("/srv/current", "/srv/releases"), "copy a")


def test_the_check_that_drd_writes_follows_links_only_within_the_restored_data(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "live").write_text("x")
    (tree / "it's here").write_text("\n")
    (tree / "inside").symlink_to("it's here")
    (tree / "outside").symlink_to(tmp_path / "live")
    (tree / "empty").touch()
    fit = {
        name: subprocess.run(
            ["sh", "-c", has_data(f"/{name}")],
            env={**os.environ, "DRD_PATH": str(tree)},
            check=False,
        ).returncode
        for name in ("it's here", "inside", "outside", "empty", "missing")
    }
    assert [name for name, code in fit.items() if code == 0] == ["it's here", "inside"]


@pytest.mark.parametrize("linked", [False, True])
def test_the_page_by_hand_moves_only_what_lies_in_the_restored_tree(
    short_tmp: Path, linked: bool
) -> None:
    host = Host(short_tmp)
    landed = short_tmp / "hand" / host.what.name
    above = landed / str(short_tmp).lstrip("/")
    (above / "app/etc").mkdir(parents=True)
    (above / "app/etc/conf").write_text("saved")
    if linked:
        shutil.rmtree(above / "app")
        (above / "app").symlink_to(short_tmp / "victim")
    hand = by_hand(host.what, None, place="", resolve=lambda _: "")
    move = next(p.commands for p in hand.passages if "mv -T" in p.commands)
    done = subprocess.run(
        ["bash", "-eu", "-c", move],
        cwd=landed.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (short_tmp / "victim/etc/conf").read_text() == "victim"
    assert (short_tmp / "app/etc/conf").read_text() == ("app" if linked else "saved")
    assert (done.returncode != 0) == linked
    assert ("is reached through a link" in done.stdout) == linked
