"""Why a restore point could not be mounted, by the words of the programs that were to mount it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drd.errors import TargetError, ToolMissing
from drd.process import Command, Completed
from drd.process.mounts import Mounted, mounted, mounted_at
from drd.repositories.restic import browsing

_SAID = """
also, the following messages were logged by a library:
2026/11/28 02:11:28 mount helper error: fusermount: failed to open /dev/fuse: Permission denied
"""


def test_refusal_of_fusermount_is_named_with_the_directory() -> None:
    with pytest.raises(TargetError) as caught:
        browsing._require_mounted(Completed(1, "", _SAID, 0.1), Path("/mnt/look"))
    assert (
        caught.value.message
        == "cannot mount at /mnt/look: failed to open /dev/fuse: permission denied"
    )
    assert "as root" in caught.value.hint


def test_end_of_a_mount_is_not_a_refusal() -> None:
    browsing._require_mounted(Completed(0, "", "", 0.1), Path("/mnt/look"))
    browsing._require_mounted(
        Completed(10, "", "Fatal: repository does not exist", 0.1), Path("/mnt")
    )


def test_system_without_fuse_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "_DEVICE", tmp_path / "nowhere")
    with pytest.raises(ToolMissing) as caught:
        browsing._unmounter()
    assert "--device /dev/fuse" in caught.value.hint
    assert "drd ls" in caught.value.hint


@pytest.mark.parametrize("filled", [True, False])
def test_directory_that_is_filled_or_missing_is_refused(filled: bool, tmp_path: Path) -> None:
    into = tmp_path if filled else tmp_path / "nowhere"
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="cannot mount at") as caught:
        browsing._require_empty(into)
    assert "empty directory" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_mounts_only_where_nobody_else_can_change_the_path(short_tmp: Path) -> None:
    look = short_tmp / "theirs" / "restore" / "look"
    look.mkdir(parents=True)
    browsing._require_private(look)
    os.chown(look.parents[1], 65534, -1)
    with pytest.raises(TargetError) as caught:
        browsing._require_private(look)
    assert f"root cannot mount safely at {look}: {look.parents[1]} belongs to " in str(caught.value)
    assert "only root can replace" in caught.value.hint


@dataclass
class Table:
    """What is mounted, by place, and what was unmounted."""

    there: dict[Path, Mounted] = field(default_factory=dict)
    unmounted: list[str] = field(default_factory=list)
    busy: bool = False

    def mount(self, place: Path, number: int, source: str = "restic") -> None:
        self.there[place] = Mounted(number, f"0:{number}", place, "fuse", source)

    def run(self, command: Command) -> None:
        place = str(command.argv[-1])
        self.unmounted.append(place)
        if not self.busy:
            del self.there[Path(place)]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    monkeypatch.setattr(browsing, "mounted_at", table.there.get)
    monkeypatch.setattr(browsing.process, "run", table.run)
    return table


def test_only_restics_own_mount_is_unmounted_wherever_its_directory_is_now(
    table: Table, tmp_path: Path
) -> None:
    into, away, precious = (tmp_path / n / "look" for n in ("restore", "away", "precious"))
    into.mkdir(parents=True)
    precious.mkdir(parents=True)
    with browsing._held(into) as directory:
        point = browsing._Point(directory)
        table.mount(into, 7)
        assert point.is_mounted()
        into.parent.rename(away.parent)
        into.parent.symlink_to(precious.parent)
        table.there.clear()
        table.mount(away, 7)
        table.mount(precious, 8)
        table.mount(into, 8)
        point.clear("fusermount3")
        assert table.unmounted == [str(away)]

        table.mount(away, 9)
        point.clear("fusermount3")
        assert table.unmounted == [str(away)], "another mount has come there"


@pytest.mark.parametrize("source", [None, "tmpfs"])
def test_a_directory_that_restic_never_mounted_is_not_unmounted(
    source: str | None, table: Table, tmp_path: Path
) -> None:
    if source is not None:
        table.mount(tmp_path, 5, source)
    with browsing._held(tmp_path) as directory:
        browsing._Point(directory).clear("fusermount3")
    assert table.unmounted == []


def test_mount_that_is_left_is_named_with_the_remedy(table: Table, tmp_path: Path) -> None:
    place = tmp_path / "a look"
    place.mkdir()
    table.mount(place, 7)
    table.busy = True
    with browsing._held(place) as directory, pytest.raises(TargetError) as caught:
        browsing._Point(directory).clear("fusermount3")
    assert f"cannot unmount {place}" in caught.value.message
    assert caught.value.hint == f"unmount it: umount --lazy '{place}'"


def test_table_of_mounts_has_the_place_and_the_kind() -> None:
    proc = mounted_at(Path("/proc"))
    assert proc is not None
    assert proc.kind == "proc"
    assert re.fullmatch(r"\d+:\d+", proc.device)
    assert proc in mounted()
