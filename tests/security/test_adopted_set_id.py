"""Attack: whoever can write to the repository of another tool puts a set-user-ID program of root's,
a file capability or a device node into a copy, and waits until root recovers from it.

They came back as the copy had them, for every user of the host. drd knows nothing of the source of
such a copy, so now no file of it keeps these rights, and no node is left.
"""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.kinds.command import adopted as command
from drd.kinds.command.kind import CommandKind
from drd.kinds.command.settings import CommandSettings, CommandTarget
from drd.kinds.files.adopted import adopts
from drd.kinds.files.by_hand import by_hand
from drd.kinds.files.settings import FilesTarget
from drd.kinds.sqlite import adopted as sqlite
from drd.kinds.sqlite.settings import SqliteSettings
from drd.model.copy_names import COPY
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import RestoreOptions, no_progress
from drd.ports.adopted import FoundFile
from tests.integration.files.support import KIND, component, source, take, target
from tests.restic_support import place
from tests.security.test_set_id import CAPABILITY
from tests.user_support import NOBODY, as_root

pytestmark = as_root


def plant(tree: Path) -> None:
    """What a forged copy may contain, and beside it what a sound one does."""
    tree.mkdir(parents=True)
    for name, mode, owner in (
        ("roots", 0o4755, 0),
        ("group", 0o2755, NOBODY),
        ("able", 0o755, 0),
        ("plain", 0o640, NOBODY),
    ):
        (tree / name).write_text(name)
        os.chown(tree / name, owner, owner)
        (tree / name).chmod(mode)
    os.setxattr(tree / "able", "security.capability", CAPABILITY)
    (tree / "second").hardlink_to(tree / "roots")
    os.mknod(tree / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tree / "shared").mkdir()
    (tree / "shared").chmod(0o2775)


@pytest.mark.parametrize("no_owner", [False, True])
@pytest.mark.parametrize("way", ["target", "in place", "drill"])
def test_no_file_of_a_foreign_copy_keeps_rights_and_no_device_node_is_left(
    short_tmp: Path, way: str, *, no_owner: bool
) -> None:
    tree = short_tmp / "app"
    tree.mkdir()
    (tree / "plain").write_text("plain")
    own, what = take(place(short_tmp / "w0"), tree), component(tree)
    facts = {**adopts(what, None).facts, COPY: "a1b2"}
    snapshot = replace(own, fingerprint=None, facts=facts)
    work = place(short_tmp / "w", "4f2a1c3e")
    options = RestoreOptions(no_owner=no_owner, keep=True)
    if way == "drill":
        made, back = KIND.sandbox(what, snapshot, work), work.directory / "tree" / str(tree)[1:]
    elif way == "target":
        made, back = target(short_tmp / "to", work, no_owner=no_owner), short_tmp / f"to{tree}"
    else:
        made, back = KIND.target(what, what.settings, work, options), tree
    made.preflight(snapshot, overwrite=True)
    plant(made.landing() / str(tree).lstrip("/"))
    restored = made.restore(snapshot, {}, on_progress=no_progress)
    assert sorted(p.name for p in back.iterdir()) == [
        "able", "group", "plain", "roots", "second", "shared",
    ]  # fmt: skip
    for file in (p for p in back.iterdir() if p.is_file()):
        assert stat.S_IMODE(file.stat().st_mode) in (0o755, 0o640), file
        assert "security.capability" not in os.listxattr(file)
    assert stat.S_IMODE((back / "shared").stat().st_mode) == 0o2775
    kept = 0 if no_owner and way != "drill" else NOBODY
    assert {p.name: p.stat().st_uid for p in back.iterdir()}["plain"] == kept
    if way != "drill":
        (said,) = restored.not_restored
        for name in ("able", "disk", "group", "null"):
            assert f"{tree}/{name}" in said
        assert "another tool made the copy" in said
    made.close()


def test_a_copy_of_drd_keeps_them(short_tmp: Path) -> None:
    tree = short_tmp / "app"
    plant(tree)
    with source(place(short_tmp / "w0"), tree).open() as _:
        snapshot = take(place(short_tmp / "w1"), tree)
    made = target(short_tmp / "to", place(short_tmp / "w", "4f2a1c3e"))
    made.preflight(snapshot, overwrite=False)
    plant(made.landing() / str(tree).lstrip("/"))
    assert made.restore(snapshot, {}, on_progress=no_progress).not_restored == ()
    back = short_tmp / f"to{tree}"
    assert stat.S_IMODE((back / "roots").stat().st_mode) == 0o4755
    assert stat.S_ISBLK((back / "disk").stat().st_mode)


def test_the_mode_of_a_database_has_no_set_id_bits() -> None:
    settings = SqliteSettings.model_validate({"kind": "sqlite", "path": "/srv/shop.db"})
    found = FoundFile(True, 4096, None, 0o6755, 0, 0)
    assert sqlite.adopts(Component("db", "sqlite", settings), found).facts["mode"] == 0o755


@pytest.mark.parametrize("adopted", [True, False])
def test_commands_by_hand_leave_no_rights_in_a_foreign_copy(
    tmp_path: Path, *, adopted: bool
) -> None:
    what = replace(component(tmp_path / "app"), adopted=adopted)
    plant(tmp_path / "copy/app")
    hand = by_hand(what, FilesTarget(path=str(tmp_path / "to")), place="", resolve=lambda _: "")
    script = f'snapshot() {{ echo id; }}\nrestic() {{ cp -a "{tmp_path}/copy/." "${{@: -1}}"; }}\n'
    words = ["bash", "-euc", script + "".join(p.commands for p in hand.passages[:2])]
    subprocess.run(words, cwd=tmp_path, check=True)
    back = tmp_path / "to/app"
    kept = {p.name for p in back.iterdir() if p.is_file() and p.stat().st_mode & 0o6000}
    assert kept == (set() if adopted else {"roots", "second", "group"})
    assert ("security.capability" in os.listxattr(back / "able")) is not adopted
    assert (back / "disk").exists() is not adopted
    assert stat.S_IMODE((tmp_path / "to").stat().st_mode) == 0o755


@pytest.mark.parametrize("foreign", [True, False])
def test_a_command_leaves_no_rights_in_what_it_makes_of_a_foreign_dump(
    short_tmp: Path, *, foreign: bool
) -> None:
    script = (
        "echo > plain; cp plain roots; chmod 4755 roots; mkdir in; cp plain in/group; "
        "chmod 2755 in/group; mknod disk b 7 0"
    )
    raw = {"kind": "command", "restore": ["sh", "-c", script], "dump": ["true"]}
    what = Component("db", "command", CommandSettings.model_validate(raw))
    found = FoundFile(True, 3, None, 0o600, 0, 0)
    facts = {**command.adopts(what, found).facts, **({COPY: "a1"} if foreign else {})}
    snapshot = ComponentSnapshot(
        "db", "command", "captured", datetime.now(UTC), "0" * 64, 3, facts=facts
    )
    to = CommandTarget(path=str(short_tmp / "to"))
    made = CommandKind().target(what, to, place(short_tmp / "w", "4f2a1c3e"))
    made.preflight(snapshot, overwrite=False)
    (made.landing() / "db.dump").write_text("abc")
    notes = " ".join(made.restore(snapshot, {}, on_progress=no_progress).notes)
    kept = {p.name for p in (short_tmp / "to").rglob("*") if p.lstat().st_mode & 0o6000}
    assert kept == (set() if foreign else {"roots", "group"})
    assert (short_tmp / "to/disk").exists() is not foreign
    assert all(("drd removed" in notes and n in notes) is foreign for n in ("disk", "in/group"))
    made.close()
