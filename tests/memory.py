"""The directory of a test run in memory, where nothing waits for a disk.

Tests make and remove some hundred thousand small files, and programs write nearly all of them
through to the disk. Only root can mount, so the run of another user stays on the disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_REC, _MS_SLAVE = 0x4000, 1 << 19
_MNT_DETACH = 2
_LEAST = 6 << 30
"""Bytes of memory that are free, or the run stays on the disk: it needs up to 2 GiB."""


@contextlib.contextmanager
def in_memory(directory: Path) -> Iterator[bool]:
    """Put what is written to `directory` into memory from now on, for this process and all that it
    starts; gives whether it is so. Nobody else sees the mount, and it ends with its last process.
    """
    mounted = os.geteuid() == 0 and _available() >= _LEAST and _mount(directory)
    try:
        yield mounted
    finally:
        if mounted:
            ctypes.CDLL(None).umount2(bytes(directory), _MNT_DETACH)


def _available() -> int:
    """Bytes of memory that a new program could use, of all limits that stand in /proc."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return 0


def _mount(directory: Path) -> bool:
    """False where this is not allowed, as in many containers."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return False
    if libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None) != 0:
        return False
    mode = directory.stat().st_mode & 0o7777
    options = f"size=50%,mode={mode:o}".encode()
    return bool(libc.mount(b"drd-tests", bytes(directory), b"tmpfs", 0, options) == 0)
