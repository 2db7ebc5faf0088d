"""Measure the holes of sparse files, which take no room on a disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress

from drd.kinds.files import SPEC
from drd.model.snapshot import ComponentSnapshot

HOLES = "holes"
"""The fact how many bytes of the files are holes, which a restore leaves out."""

EDGE_BYTES = 8 << 20
"""restic's largest chunk in bytes: this much of a hole may be restored as zeros that use disk
space."""


def may_have(info: os.stat_result) -> bool:
    """Return whether a file takes so much less room than its size that it may have a hole."""
    return info.st_size - info.st_blocks * 512 > EDGE_BYTES


def disk_bytes(snapshot: ComponentSnapshot) -> int:
    """Return the disk space in bytes that the restored files need: holes in files need none."""
    return max(0, snapshot.bytes - SPEC.holes(snapshot.facts))


def holes(files: Iterable[bytes]) -> int:
    """Return how many bytes a restore as sparse files saves at least. A compressed file system has
    small files without holes, so only the holes count. Files that cannot be read count as files
    without holes.
    """
    saved = 0
    for path in files:
        with suppress(OSError):
            saved += _of_file(path)
    return saved


def _of_file(path: bytes) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size, at, saved = os.fstat(fd).st_size, 0, 0
        while at < size:
            begin = os.lseek(fd, at, os.SEEK_HOLE)
            at = _data_after(fd, begin, size)
            saved += max(0, at - begin - EDGE_BYTES)
        return saved
    finally:
        os.close(fd)


def _data_after(fd: int, begin: int, size: int) -> int:
    try:
        return os.lseek(fd, begin, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size  # nothing but a hole up to the end
