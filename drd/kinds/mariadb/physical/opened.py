"""Give restored files the group and the rights of those that they replace: drd's user reads a
server's files as a member of their group."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_DATABASE, _FILE = "mysql", "ibdata1"
"""What each server has: what the directory of before does not have gets their rights."""

_OF_DIRECTORIES = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
_OF_FILES = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_like(directory: Path, former: Path) -> None:
    """Give everything in `directory` the group, and the rights of group and others, that `former`
    has under the same name. Where drd may not give the group, the group gets no rights: they would
    be those of another group. Links, and files that have a second name, stay as they are: the
    server's user could have put them there. Raises OSError.
    """
    for place, _, files, fd in os.fwalk(directory, follow_symlinks=False):
        here = former / Path(place).relative_to(directory)
        _open(fd, _known(here) or _known(former / _DATABASE))
        for name in files:
            with suppress(OSError):  # a link
                file = os.open(name, _OPEN, dir_fd=fd)
                try:
                    _open(file, _known(here / name) or _known(former / _FILE))
                finally:
                    os.close(file)


def _known(path: Path) -> os.stat_result | None:
    """Return what is there; None for nothing, and for a link: it has all bits, and says nothing
    about the file on another disk."""
    try:
        known = path.lstat()
    except OSError:
        return None
    return None if stat.S_ISLNK(known.st_mode) else known


def _open(fd: int, known: os.stat_result | None) -> None:
    info = os.fstat(fd)
    is_file = stat.S_ISREG(info.st_mode)
    if known is None or not (stat.S_ISDIR(info.st_mode) or (is_file and info.st_nlink == 1)):
        return
    given = _OF_FILES if is_file else _OF_DIRECTORIES
    if known.st_gid != info.st_gid:
        try:
            os.fchown(fd, -1, known.st_gid)
        except PermissionError:  # root may, and the server's user for its own groups
            given &= ~stat.S_IRWXG
    kept = stat.S_IRWXU if not is_file else stat.S_IRUSR | stat.S_IWUSR
    os.fchmod(fd, kept | (known.st_mode & given))
