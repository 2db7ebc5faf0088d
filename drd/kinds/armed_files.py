"""Find files that give rights to those who run or open them: set-ID programs, programs with
capabilities, and device nodes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from drd.kinds.file_system import is_root
from drd.process import check_cancelled

SET_ID = stat.S_ISUID | stat.S_ISGID
CAPABILITIES = "security.capability"


def disarm(top: bytes) -> list[bytes]:
    """Remove set-ID bits, capabilities and device nodes at a path and below it; return the paths
    that had them. A second name of a file comes without what its first one had.
    """
    had = []
    for path in everything(top):
        check_cancelled()
        info = os.lstat(path)
        if stat.S_ISREG(info.st_mode) and _is_armed(path, info):
            drop_rights(path, info)
        elif stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
            os.unlink(path)  # noqa: PTH108 - paths are bytes
        else:
            continue
        had.append(path)
    return had


def _is_armed(path: bytes, info: os.stat_result) -> bool:
    return bool(info.st_mode & SET_ID) or capabilities_of(path) is not None


def capabilities_of(path: bytes) -> bytes | None:
    """Return the capabilities of a file as the kernel keeps them."""
    try:
        return os.getxattr(path, CAPABILITIES, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        return None


def drop_rights(path: bytes, info: os.stat_result) -> bool:
    """Remove set-ID bits and capabilities of a file; returns whether it had any."""
    had = bool(info.st_mode & SET_ID)
    if had:
        os.chmod(path, stat.S_IMODE(info.st_mode) & ~SET_ID)  # noqa: PTH101 - paths are bytes
    try:
        os.removexattr(path, CAPABILITIES, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
            raise
        # Without root's rights nobody has set any, and nobody may remove any.
        return had
    return True


def everything(top: bytes) -> Iterator[bytes]:
    """Return a path and everything below it. Directories that their owner may not enter are opened
    meanwhile.
    """
    closed: list[tuple[bytes, int]] = []
    directories = [top]
    yield top
    try:
        while directories:
            directory = directories.pop()
            mode = stat.S_IMODE(os.lstat(directory).st_mode)
            if not is_root() and mode & 0o700 != 0o700:
                os.chmod(directory, mode | 0o700)  # noqa: PTH101 - paths are bytes
                closed.append((directory, mode))
            with os.scandir(directory) as children:
                entries = list(children)
            for entry in entries:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
    finally:
        for directory, mode in reversed(closed):
            os.chmod(directory, mode)  # noqa: PTH101 - paths are bytes
