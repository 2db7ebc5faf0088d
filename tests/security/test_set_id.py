"""Attack: an application's user puts a set-user-ID program of his own into what is backed up, and
waits for a recovery that gives its files to somebody else. It ran as root then, or as drd's user.

Now a file that gets another owner than it had loses these bits, and file capabilities, before
anybody can reach it. The twins: a recovery that gives back the owners gives back the bits; a drill
proves them.
"""

from __future__ import annotations

import codecs
import os
import stat
import struct
from pathlib import Path

import pytest

from drd.kinds.files import owners
from drd.model.run import CheckVerdict
from drd.model.snapshot import ComponentSnapshot
from drd.ports import no_progress
from tests.e2e.site import Site, one_tree
from tests.integration.files.support import KIND, check, component, source, take, taken, target
from tests.restic_support import Restic, place
from tests.user_support import NOBODY, acting_as, as_root

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)
"""cap_setuid+ep, as linux/capability.h has it."""


def make_source(place: Path) -> None:
    """What an application's user may have there, and a program of root's that he may run."""
    place.mkdir()
    for name, mode, owner in (
        ("evil\n", 0o4755, NOBODY),
        ("group", 0o2755, NOBODY),
        ("able", 0o755, NOBODY),
        ("roots", 0o4755, 0),
        ("plain", 0o640, NOBODY),
    ):
        (place / name).write_text(name)
        os.chown(place / name, owner, owner)
        (place / name).chmod(mode)
    os.setxattr(place / "able", "security.capability", CAPABILITY)
    (place / "shared").mkdir()
    os.chown(place / "shared", NOBODY, NOBODY)
    (place / "shared").chmod(0o2775)
    (place / "shared/second").hardlink_to(place / "evil\n")
    os.chown(place, NOBODY, NOBODY)


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    make_source(made.base / "src")
    made.plan(one_tree(made.base / "src", made.base / "back"))
    made.drd("backup", "shop")
    return made


def modes(place: Path) -> dict[str, tuple[int, int]]:
    found = {p.name: p.lstat() for p in sorted(place.rglob("*"))}
    return {name: (stat.S_IMODE(i.st_mode), i.st_uid) for name, i in found.items()}


def capable(file: Path) -> bool:
    return "security.capability" in os.listxattr(file)


@as_root
@pytest.mark.parametrize("way", ["target", "in place", "one directory"])
def test_a_set_id_program_gets_no_other_owner_with_its_bits(site: Site, way: str) -> None:
    words, back = {
        "target": (("--target", "standby"), Path(f"{site.base}/back{site.base}/src")),
        "in place": (("--in-place", "--overwrite"), site.base / "src"),
        "one directory": (
            ("--in-place", "--path", f"{site.base}/src", "--into", f"{site.base}/one"),
            site.base / "one/src",
        ),
    }[way]
    shown = site.drd("recover", "shop", *words, "--no-owner", "--dry-run")
    assert "3 files" in shown.err
    assert r"src/evil\n" in shown.err

    told = site.drd("recover", "shop", *words, "--no-owner", "--yes", "--json").json

    after = modes(back)
    assert {uid for _, uid in after.values()} == {0}
    assert {n for n, (mode, _) in after.items() if mode & 0o6000} == {"roots", "shared"}
    assert after["plain"][0] == 0o640
    assert after["evil\n"][0] == after["second"][0] == 0o755
    assert not capable(back / "able")
    (note,) = [n for c in told["components"] for n in c["notes"] if "set-user-ID" in n]
    assert "4 files" in note
    assert "able" in note
    assert "roots" not in note
    assert all(c["verdict"] != "failed" for c in told["checks"]), told["checks"]


@as_root
def test_recovery_that_gives_back_the_owners_gives_back_the_bits(site: Site) -> None:
    """The twin."""
    before = modes(site.base / "src")
    told = site.drd("recover", "shop", "--target", "standby", "--yes")

    back = Path(f"{site.base}/back{site.base}/src")
    assert modes(back) == before
    assert capable(back / "able")
    assert "set-user-ID" not in told.out + told.err


@as_root
def test_bits_are_gone_before_the_owner_changes(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = short_tmp / "src"
    make_source(landed)
    changed = []

    def lchown(path: bytes, uid: int, gid: int) -> None:
        info = os.lstat(path)
        changed.append(path)
        assert stat.S_ISDIR(info.st_mode) or not info.st_mode & 0o6000
        os.chown(path, uid, gid, follow_symlinks=False)

    monkeypatch.setattr(owners.os, "lchown", lchown)
    dropped = owners.settle_owners(landed, take(place(short_tmp / "w"), landed), no_owner=True)
    assert changed
    assert sorted(dropped) in (
        ["/able", "/evil\n", "/group"],
        ["/able", "/group", "/shared/second"],
    )


def stored(short_tmp: Path, owner: int) -> tuple[Restic, ComponentSnapshot]:
    """A point of one set-user-ID program and one in a directory that only others can look into, in
    a repository of nobody's."""
    (short_tmp / "r").mkdir()
    src, own = short_tmp / "src", Restic(short_tmp / "r")
    (src / "closed").mkdir(parents=True)
    for name in ("program", "closed/program"):
        (src / name).write_text("x")
        os.chown(src / name, owner, owner)
        (src / name).chmod(0o4755)
    for directory in (src / "closed", src):
        os.chown(directory, owner, owner)
    (src / "closed").chmod(0o311)
    work = place(short_tmp / "w")
    with source(work, src).open() as capture:
        snapshot = taken(capture, own.store(capture.payload))
    for path in (short_tmp / "r", *(short_tmp / "r").rglob("*"), work.directory, short_tmp / "t"):
        path.mkdir(exist_ok=True) if path.name == "t" else None
        os.chown(path, NOBODY, NOBODY)
    return own, snapshot


@as_root
@pytest.mark.parametrize("owner", [1234, NOBODY])
def test_recovery_of_an_ordinary_user_keeps_bits_of_his_own_programs_alone(
    short_tmp: Path, owner: int
) -> None:
    codecs.lookup("ascii")  # nobody could read it
    own, snapshot = stored(short_tmp, owner)
    new = target(short_tmp / "t/new", place(short_tmp / "w"), no_owner=True)
    with acting_as(NOBODY):
        findings = new.preflight(snapshot, overwrite=False)
        own.restore(str(snapshot.snapshot), new.landing())
        restored = new.restore(snapshot, {}, on_progress=no_progress)
        rows = check(snapshot, new.inspector(), is_root=False)
    back = Path(f"{short_tmp}/t/new{short_tmp}/src")
    kept = owner == NOBODY
    for name in ("program", "closed/program"):
        assert stat.S_IMODE((back / name).stat().st_mode) == (0o4755 if kept else 0o755), name
    assert stat.S_IMODE((back / "closed").stat().st_mode) == 0o311
    assert rows[0].verdict is CheckVerdict.PASSED, rows[0].observed
    assert any(f.severity == "warning" and "2 files" in f.text for f in findings) is not kept
    assert any("2 files" in line for line in restored.not_restored) is not kept


@as_root
def test_drill_of_an_ordinary_user_proves_the_bits_where_nobody_else_gets_to(
    short_tmp: Path,
) -> None:
    own, snapshot = stored(short_tmp, 1234)
    sandbox = KIND.sandbox(component(short_tmp / "src"), snapshot, place(short_tmp / "w"))
    with acting_as(NOBODY):
        own.restore(str(snapshot.snapshot), sandbox.landing())
        restored = sandbox.restore(snapshot, {}, on_progress=no_progress)
    tree = Path(sandbox.inspector().location)
    assert stat.S_IMODE(tree.stat().st_mode) == 0o700
    assert Path(f"{tree}{short_tmp}/src/program").stat().st_mode & stat.S_ISUID
    assert not any("set-user-ID" in line for line in restored.not_restored)
    sandbox.close()
