"""Make drd's own directories and files so that nobody else can open them, and never through a link
that others have put in their place.

The modes of existing files are not changed, except by `close_to_others`.
"""

from __future__ import annotations

import errno
import grp
import os
import stat
from contextlib import suppress
from pathlib import Path

from drd import acl
from drd.process import rights

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
PUBLIC_DIRECTORY = 0o751
"""The mode of the one directory in which the group may read the summary of `drd status`. Other
users can only reach the daemon's socket in it, whose name they know: users of drd.yaml and members
of the operating group need not be in this group, and the daemon gets from the kernel who they are.
"""

UNRECORDED = "unrecorded-alerts.json"
"""The private file beside the catalogue for alerts that the catalogue could not take."""

_OTHERS = 0o7077
"""Bits that a private directory or file must not have: any right of group and others,
special bits.
"""


def make_private_directory(directory: Path) -> None:
    """Make the directory with mode 0700, independent of the umask; an existing directory is not
    changed. If root makes it in another user's private directory, it belongs to that user.
    """
    with suppress(FileExistsError):
        directory.mkdir(PRIVATE_DIRECTORY)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(fd, PRIVATE_DIRECTORY)
            if _is_empty(fd):
                _give_to_owner_above(fd, directory)
        finally:
            os.close(fd)


def open_private_file(path: Path) -> int:
    """Return a descriptor to read and write the file; make an empty file with mode 0600 if it is
    missing. The mode of an existing file is not changed. Raises OSError, with ELOOP for a link and
    EINVAL if it is not a regular file, without waiting for the other end of a pipe.
    """
    how = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        try:
            return open_regular(path, how)
        except FileNotFoundError:
            pass
        try:
            fd = os.open(path, how | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        except FileExistsError:
            continue  # another process was faster, or has just removed it
        try:
            os.fchmod(fd, PRIVATE_FILE)
            _give_to_owner_above(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def open_regular(path: Path, how: int) -> int:
    """Open an existing file, without waiting. Raises OSError, with EINVAL if it is not a regular
    file.
    """
    fd = os.open(path, how | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
    return fd


def read_regular(path: Path, most: int, how: int = os.O_NOFOLLOW) -> bytes:
    """Read at most `most` bytes of a file in a directory where others may have replaced it. Does
    not wait. Raises OSError, with EINVAL if it is not a regular file.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY | os.O_CLOEXEC | how), "rb") as file:
        return file.read(most)


def _is_empty(fd: int) -> bool:
    with os.scandir(fd) as entries:
        return next(entries, None) is None


def _give_to_owner_above(fd: int, path: Path) -> None:
    """Give a new file that root has made in another user's private directory to that user, who
    could not open it otherwise. It is new and empty: nothing of root's is given away.
    """
    if os.geteuid() != 0:
        return
    above = path.parent.stat()
    if above.st_uid != 0 and not above.st_mode & 0o022:
        os.fchown(fd, above.st_uid, above.st_gid)


def make_public_directory(directory: Path, group: str, *, owner: int | None = None) -> None:
    """Make sure that there is a directory that `group` may read, with mode 0751.

    A user who may not give files to the group uses an access control list; without such a group, or
    where the file system has no lists, only the owner can read the directory. If root makes it, it
    belongs to the user id `owner`, or to the user for whom root acts. Raises OSError when it cannot
    be made, or belongs to another user.
    """
    rights.make_for_owner(directory)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if os.geteuid() == 0 and owner and info.st_uid == 0 and _is_empty(fd):
            os.fchown(fd, owner, -1)
            info = os.fstat(fd)
        if os.geteuid() not in (0, info.st_uid):
            raise PermissionError(f"it belongs to another user ({info.st_uid})")
        with suppress(KeyError, OSError):
            _open_to(fd, grp.getgrnam(group).gr_gid)
            return
        if stat.S_IMODE(info.st_mode) & 0o022:
            os.fchmod(fd, stat.S_IMODE(info.st_mode) & ~0o022 & 0o777)
    finally:
        os.close(fd)


def _open_to(fd: int, group: int) -> None:
    """Open a directory to a group. Raises OSError if it can neither be given to the group nor get
    an access control list.
    """
    info = os.fstat(fd)
    try:
        if info.st_gid != group:
            os.fchown(fd, -1, group)
    except PermissionError:
        # New files in the directory get the list at once, whoever makes them.
        acl.put(fd, acl.ACCESS, acl.encode(acl.Rights(7, 5, others=1), groups=[group]))
        acl.put(fd, acl.DEFAULT, acl.encode(acl.Rights(6, 4), groups=[group]))
        return
    for name in (acl.ACCESS, acl.DEFAULT):
        acl.put(fd, name, None)  # of a group that was configured before
    # Only now: before, it would have been open to another group.
    if stat.S_IMODE(os.fstat(fd).st_mode) != PUBLIC_DIRECTORY:
        os.fchmod(fd, PUBLIC_DIRECTORY)


def close_to_others(path: Path, *, second_name: bool = False) -> bool:
    """Remove every right of group and others, and special bits, from a directory or regular file of
    drd's; returns whether it had any. Follows no links, and skips a file with a second name, which
    may belong to someone else by that name, unless the second name is known. Works for its owner
    and root only.
    """
    with suppress(OSError):
        # Without opening it: opening and closing a SQLite file would drop its locks in this
        # process.
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            directory = stat.S_ISDIR(info.st_mode)
            mode = stat.S_IMODE(info.st_mode)
            ours = os.geteuid() in (0, info.st_uid)
            single = directory or (
                stat.S_ISREG(info.st_mode) and (info.st_nlink == 1 or second_name)
            )
            if ours and single and mode & _OTHERS:
                Path(f"/proc/self/fd/{fd}").chmod(mode & ~_OTHERS)
                return True
        finally:
            os.close(fd)
    return False


def give_away(directory: Path, uid: int, gid: int) -> list[str]:
    """Give what root owns in a directory, and the directory, to another user; returns the names
    that stay root's. For root.

    Works by descriptors and follows no links, since that user may already change names in there.
    Gives regular files with only one name, because a second name may be elsewhere, and directories
    of the same file system. Raises OSError if the place is not a directory.
    """
    left: list[str] = []
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _give_away_below(fd, directory, (uid, gid), left)
    finally:
        os.close(fd)
    return left


def _give_away_below(fd: int, directory: Path, to: tuple[int, int], left: list[str]) -> None:
    device = os.fstat(fd).st_dev
    for name in sorted(os.listdir(fd)):
        with suppress(FileNotFoundError):
            one = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                info = os.fstat(one)
                place = directory / name
                if stat.S_ISDIR(info.st_mode) and info.st_dev == device:
                    below = os.open(
                        f"/proc/self/fd/{one}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                    )
                    try:
                        _give_away_below(below, place, to, left)
                    finally:
                        os.close(below)
                elif info.st_uid == 0 and stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
                    os.chown(f"/proc/self/fd/{one}", *to)
                elif info.st_uid == 0:
                    left.append(str(place))
            finally:
                os.close(one)
    if os.fstat(fd).st_uid == 0:
        os.fchown(fd, *to)


def is_open_to_others(path: Path) -> bool:
    """Return whether group or others have any right to the file, as in states of an earlier drd."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(info.st_mode) and bool(stat.S_IMODE(info.st_mode) & _OTHERS)


def is_roots_alone(file: Path) -> bool:
    """Return whether only root can have written this: a regular file of root's at an absolute path
    without links, which no other user can write or replace.
    """
    if not file.is_absolute() or ".." in file.parts:
        return False
    try:
        places = [file, *file.parents]
        stats = [place.lstat() for place in places]
    except OSError:
        return False
    if not stat.S_ISREG(stats[0].st_mode) or not all(stat.S_ISDIR(f.st_mode) for f in stats[1:]):
        return False
    return all(f.st_uid == 0 and not f.st_mode & 0o022 for f in stats)
