"""Directories that nobody else can change. drd trusts, cleans up and gives away only what lies in
one.

A directory is private when it and every directory above it belongs to root or to this process's
user and others cannot write to it, neither by its mode nor by its access control list. Above it, a
directory like /tmp is allowed, whose sticky bit protects the files of each user. Then only root and
this user can replace a name on the way to it, and a path below it means the same at the check and
at the use.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from drd import acl
from drd.users import group_name, which_user

ROOTS_OWN = Path("/var/lib/drd-sandboxes")
"""Root's own directory, where nobody else can make or replace anything: for sandboxes that a
server's user must reach, and for root's work on another user's state.
"""

_UNTIL_BOOT = Path("/run/drd-sandboxes")
"""Root's place if `ROOTS_OWN` cannot be written: in a read-only container, or on a full disk."""
_LEAST_BYTES = 1 << 20

STAMP = "stamp"
"""The file in a run's directory with the same mark as its row."""

_LINKS = 40
"""The largest number of links that are followed on one path: the kernel's limit."""


def root_place(work_dir: Path, below: Path | None = None) -> Path:
    """Return the directory below `root_directory()` in which root works for the state of this
    `work_dir`. Each state on the host has its own.
    """
    name = blake2b(os.fsencode(work_dir.absolute()), digest_size=4).hexdigest()
    return (below or root_directory()) / name


@cache
def root_directory() -> Path:
    """Return `ROOTS_OWN`, or the place in /run if only that one can be written. The answer stays
    the same until this process ends.
    """
    return _UNTIL_BOOT if not _has_room(ROOTS_OWN) and _has_room(_UNTIL_BOOT) else ROOTS_OWN


def is_in_root_place(path: Path) -> bool:
    """Return whether the path is in a place where only root can make or replace anything."""
    return any(path.is_relative_to(place) for place in root_directories())


def root_directories() -> tuple[Path, ...]:
    """Return every place in which only root can make or replace anything, on any host."""
    return (ROOTS_OWN, _UNTIL_BOOT)


def _has_room(place: Path) -> bool:
    there = next(p for p in (place, *place.parents) if p.exists())
    disk = os.statvfs(there)
    full = disk.f_blocks and disk.f_bfree * disk.f_frsize < _LEAST_BYTES
    full = full or (disk.f_files and not disk.f_ffree)
    return not (disk.f_flag & os.ST_RDONLY or full)


def why_not_private(path: Path, uid: int | None = None) -> str | None:
    """Return who could change the content of a directory; None if only root and `uid` (this
    process's effective user) can. Follows symlinks that only these users could replace. Raises
    FileNotFoundError.
    """
    trusted = {0, os.geteuid() if uid is None else uid}
    place, rest, links = Path("/"), deque(Path(os.path.abspath(path)).parts[1:]), 0  # noqa: PTH100 - no links are resolved
    info = place.lstat()
    while True:
        if stat.S_ISLNK(info.st_mode):
            links += 1
            if links > _LINKS:
                return f"{path} has too many symbolic links on its path"
            target = Path(place.readlink())
            rest.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            place = Path("/") if target.is_absolute() else place.parent
            info = place.lstat()
            continue
        if not stat.S_ISDIR(info.st_mode):
            return f"{place} is not a directory"
        if info.st_uid not in trusted:
            return f"{place} belongs to {which_user(info.st_uid)}"
        entries = listed(place, info)
        if why := _writable(place, info, entries, trusted, last=not rest):
            return why
        if not rest:
            return None
        name = rest.popleft()
        place = place.parent if name == ".." else place / name
        info = place.lstat()
        if stat.S_ISLNK(info.st_mode) and info.st_uid not in trusted:
            return f"the link {place} belongs to {which_user(info.st_uid)}"


@dataclass(frozen=True, slots=True)
class HeldDirectory:
    """A directory on a path, held by a descriptor, so that renaming does not change it. `acl` is
    the result of `listed`.
    """

    name: str
    fd: int
    info: os.stat_result
    acl: bytes | None


def others_change(way: Sequence[HeldDirectory]) -> bool:
    """Return whether users other than root can replace the contents of the last of these
    directories; each directory is inside the one before it.
    """
    return any(
        s.info.st_uid != 0 or _writable(Path(s.name), s.info, s.acl, {0}, last=s is way[-1])
        for s in way
    )


def listed(place: Path | int, info: os.stat_result) -> bytes | None:
    """Return the access control list of a path or an open file, when its mode shows that it may
    allow writing: with a list, the group's bits are the list's mask.
    """
    if not info.st_mode & stat.S_IWGRP:
        return None
    return acl.read(place if isinstance(place, int) else os.fspath(place))


def why_others_write(file: Path, uid: int) -> str | None:
    """Return who besides root and `uid` can write to a file; None if nobody can, and for a missing
    file. Follows no link, and does not check the directories above the file.
    """
    try:
        info = file.lstat()
    except FileNotFoundError:
        return None
    if info.st_uid not in (0, uid):
        return f"{file} belongs to {which_user(info.st_uid)}"
    if not stat.S_ISREG(info.st_mode):
        return f"{file} is not a file"
    return _writable(file, info, listed(file, info), {0, uid}, last=True)


def _writable(
    place: Path,
    info: os.stat_result,
    entries: bytes | None,
    trusted: Collection[int],
    *,
    last: bool,
) -> str | None:
    """Say who, beside the trusted users, can write to a place. A group counts unless its only
    member is the owner or a trusted user, so one without members counts, too:
    `state_owner._others_write` and `config.exposed_files._changeable` judge groups differently.
    """
    if not last and info.st_mode & stat.S_ISVTX:
        return None
    if info.st_mode & stat.S_IWOTH:
        return f"everybody can write to {place}"
    if not info.st_mode & stat.S_IWGRP:
        return None
    if acl.gives_owning_group(entries, acl.WRITE) and not _only_member(info.st_gid, info.st_uid):
        return f"the group {group_name(info.st_gid)} can write to {place}"
    for one in acl.named(entries, acl.WRITE) if entries is not None else ():
        if one.is_group and not any(_only_member(one.id, uid) for uid in trusted):
            return f"the group {group_name(one.id)} can write to {place} by its access control list"
        if not one.is_group and one.id not in trusted:
            return f"{which_user(one.id)} can write to {place} by its access control list"
    return None


def _only_member(gid: int, uid: int) -> bool:
    """Return whether this user is the only member of a group: many systems make such a group with
    each user.
    """
    if gid == 0:
        return True  # root's group contains only root
    with suppress(KeyError):
        me = pwd.getpwuid(uid)
        others = {a.pw_name for a in pwd.getpwall() if a.pw_gid == gid} - {me.pw_name}
        return me.pw_gid == gid and not others and not set(grp.getgrgid(gid).gr_mem) - {me.pw_name}
    return False


def has_members(gid: int) -> bool:
    """Return whether a group has members besides root."""
    if gid == 0:
        return False
    if any(a.pw_gid == gid and a.pw_uid != 0 for a in pwd.getpwall()):
        return True
    with suppress(KeyError):
        return bool(set(grp.getgrgid(gid).gr_mem) - {pwd.getpwuid(0).pw_name})
    return False


def half_made(directory: Path) -> Path:
    """The name of a directory that has no stamp yet, or soon no longer."""
    return directory.with_name(f".{directory.name}.{os.getpid()}")


def discard(directory: Path) -> None:
    """Remove a directory. It is renamed first, so that a kill does not leave a directory of this
    name without a stamp.
    """
    half = half_made(directory)
    shutil.rmtree(half, ignore_errors=True)
    with suppress(OSError):  # on a file system that is full or read-only, nothing has to be moved
        directory = directory.rename(half)
    shutil.rmtree(directory, ignore_errors=True)


def make_private(directory: Path, mode: int = 0o700) -> None:
    """Make a directory, and the missing ones above it, with this mode, independent of the umask. If
    an existing directory belongs to this user, remove the write rights of its group and others: by
    its descriptor, never through a link. Raises OSError.
    """
    missing = [p for p in (directory, *directory.parents) if not os.path.lexists(p)]
    for place in reversed(missing):
        with suppress(FileExistsError):
            place.mkdir(mode=mode | 0o700)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if info.st_uid != os.geteuid():
            return
        wanted = mode if directory in missing else stat.S_IMODE(info.st_mode) & ~0o022
        if stat.S_IMODE(info.st_mode) & 0o7777 != wanted:
            os.fchmod(fd, wanted)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifies the file that a path named at one time: another file of the same name has another
    identity.
    """

    device: int
    inode: int


def identity(path: Path) -> Identity | None:
    """Return the identity of a directory that belongs to this process's user and is not a link;
    None for everything else.
    """
    try:
        info = path.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        return None
    return Identity(info.st_dev, info.st_ino)


def read_own(file: Path, limit: int = 1 << 20) -> bytes | None:
    """Return the bytes of a file that root or this process's user wrote and that nobody else can
    write; None if the file does not exist, is a link, belongs to someone else, or is longer than
    `limit`."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as opened:
        info = os.fstat(fd)
        own = stat.S_ISREG(info.st_mode) and info.st_uid in (0, os.geteuid())
        if not own or info.st_mode & 0o002 or info.st_size > limit:
            return None
        return opened.read(limit)
