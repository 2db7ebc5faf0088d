"""Restore the owners of files, and remove rights from files that cannot get their owner back."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from drd.kinds.armed_files import (
    CAPABILITIES,
    SET_ID,
    capabilities_of,
    disarm,
    drop_rights,
    everything,
)
from drd.kinds.file_system import is_root, may_own
from drd.kinds.files.walk import to_bytes, to_text
from drd.model.copy_names import COPY
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.model.text import counted, escaped, some
from drd.ports import Finding
from drd.process import check_cancelled
from drd.process.accounts import Accounts, accounts_of, as_here

_NAMED = 5


def foreign_entries(snapshot: ComponentSnapshot) -> int:
    """Return how many entries belonged to users to whom this process cannot give files."""
    tree = as_here(snapshot)
    if tree is None:
        return 0
    known = [e for e in tree.entries.values() if not e.volatile]
    return sum(not may_own(e.uid, e.gid) for e in known)


def lost_owners(snapshot: ComponentSnapshot, *, no_owner: bool = False) -> tuple[str, ...]:
    """Return what belongs to other users than it should; empty if no owners were requested and root
    restored.
    """
    foreign = 0 if no_owner and is_root() else foreign_entries(snapshot)
    return (f"the owners of {foreign:,} entries",) if foreign else ()


def lost_rights(
    snapshot: ComponentSnapshot, dropped: tuple[str, ...], *, no_owner: bool
) -> tuple[str, ...]:
    """Return `lost_owners`, and the files that lost their set-ID bits or capabilities. An earlier
    process of the run may have removed some of these.
    """
    lost = lost_owners(snapshot, no_owner=no_owner)
    files = sorted({*_expected(snapshot, no_owner=no_owner), *dropped})
    if not files:
        return lost
    if COPY in snapshot.facts:
        what = "set-user-ID and set-group-ID bits, capabilities, or device nodes"
        why = "another tool made the copy, so drd does not know who added these"
        return (*lost, f"{what}: {_named(files)}, because {why}")
    what = "the set-user-ID and set-group-ID bits and the capabilities"
    return (*lost, f"{what} of {_named(files)}, because their owner changed")


def set_id_finding(snapshot: ComponentSnapshot, *, no_owner: bool) -> list[Finding]:
    """Return a finding about the files that will lose their set-ID bits, by what the restore point
    shows.
    """
    files = _expected(snapshot, no_owner=no_owner)
    if not files:
        return []
    detail = (
        f"{_named(files)}: the recovery cannot give these files the owner that they had in the "
        "backup, so they lose their set-user-ID and set-group-ID bits"
    )
    hint = (
        "if a program needs these bits: after the recovery, first set the former owner of the file "
        "(chown OWNER FILE), then its bits (chmod u+s FILE, or chmod g+s FILE)"
    )
    return [Finding("set-user-id", "warning", "", detail, hint)]


def _named(files: list[str]) -> str:
    return f"{counted(len(files), 'file')} ({some([escaped(f) for f in files], _NAMED)})"


def _expected(snapshot: ComponentSnapshot, *, no_owner: bool) -> list[str]:
    tree = as_here(snapshot)
    if tree is None or (is_root() and not no_owner):
        return []
    own = (os.geteuid(), os.getegid())
    return [
        path
        for path, entry in sorted(tree.entries.items())
        if entry.kind == "file" and entry.mode & SET_ID
        if entry.volatile
        or not ((entry.uid, entry.gid) == own if is_root() else may_own(entry.uid, entry.gid))
    ]


def settle_owners(landing: Path, snapshot: ComponentSnapshot, *, no_owner: bool) -> tuple[str, ...]:
    """Set owners before anybody else can reach the restored files. If no owners were requested,
    root gives everything to the target's owner.

    A file that does not get its former owner loses its set-ID bits and capabilities first: they
    would give the new owner's rights to whoever wrote the file. So does every file of a copy that
    another tool has made, and its device nodes are removed: whoever can write to that repository
    may have put them there. Returns the paths of such files, as in the source. Bits of directories
    stay: they only choose the group of new files.
    """
    root, top = is_root(), to_bytes(os.fspath(landing))
    if COPY in snapshot.facts:
        disarmed = disarm(top)
        if root and no_owner:
            for path in everything(top):
                os.lchown(path, os.geteuid(), os.getegid())
        return tuple(sorted(to_text(path[len(top) :]) for path in disarmed))
    if root and not no_owner:
        _give_by_name(top, accounts_of(snapshot))
        return ()
    own, dropped, tree = (os.geteuid(), os.getegid()), [], as_here(snapshot)
    for path in everything(top):
        check_cancelled()
        info = os.lstat(path)
        name = to_text(path[len(top) :])
        was = own if root else _owner_of(name, tree)
        if was == (info.st_uid, info.st_gid):
            continue
        if stat.S_ISREG(info.st_mode) and drop_rights(path, info):
            dropped.append(name)
        if root:
            os.lchown(path, *own)
    return tuple(sorted(dropped))


def _give_by_name(top: bytes, accounts: Accounts) -> None:
    """Give the restored files, which have the numbers of the source, to the same names here. Rights
    that a change of the owner removes are set again: the name is the same.
    """
    if not accounts.differ:
        return
    seen: set[tuple[int, int]] = set()
    for path in everything(top):
        check_cancelled()
        info = os.lstat(path)
        key = (info.st_dev, info.st_ino)
        owner = accounts.here(info.st_uid, info.st_gid)
        # A second name of a file has its new owner already.
        if key in seen or owner == (info.st_uid, info.st_gid):
            continue
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            seen.add(key)
        capabilities = capabilities_of(path) if stat.S_ISREG(info.st_mode) else None
        os.lchown(path, *owner)
        if info.st_mode & SET_ID and not stat.S_ISLNK(info.st_mode):
            os.chmod(path, stat.S_IMODE(info.st_mode))  # noqa: PTH101 - paths are bytes
        if capabilities is not None:
            os.setxattr(path, CAPABILITIES, capabilities, follow_symlinks=False)


def _owner_of(name: str, tree: TreeFingerprint | None) -> tuple[int, int] | None:
    """Return the owner of an entry at the source, by the numbers of here; None if unknown."""
    entry = tree.entries.get(name) if tree is not None else None
    return None if entry is None or entry.volatile else (entry.uid, entry.gid)
