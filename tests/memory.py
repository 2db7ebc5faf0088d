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
_LEAST = 8 << 30
"""Bytes of memory that are free, or the run stays on the disk: it needs some 3 GiB."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container has its limit: a number, or `max`."""


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
    """Bytes of memory that new programs could use, at most the limit of a container."""
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    known = [int(meminfo["MemAvailable"].split()[0]) << 10]
    for limit in map(Path, _LIMITS):
        text = limit.read_text().strip() if limit.exists() else ""
        known += [int(text)] if text.isdigit() else []
    return min(known)


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
