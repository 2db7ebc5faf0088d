"""Landlock: which files a process may use, and which processes it may signal."""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from drd.fence import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
_MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK = 1 << 8, 1 << 9, 1 << 10, 1 << 11
MAKE_SYM, _REFER, _TRUNCATE, _IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15

_SINCE = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV

READ = EXECUTE | READ_FILE | READ_DIR
CHANGE = (
    READ | WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO
    | MAKE_SYM | _REFER | _TRUNCATE
)  # fmt: skip
"""Excludes device nodes, which only root could make, and device ioctls."""

REMOVE = _REMOVE_DIR | _REMOVE_FILE | _REFER
"""The rights to remove a name, or to move it to another directory."""

DEVICE = READ_FILE | WRITE_FILE | _IOCTL_DEV

_TCP_CONNECT, _TCP = 0b10, 0b11  # with a warden, which binds and connects, neither
_SCOPES = 0b11  # abstract sockets, signals

SIGNALS_SINCE = 6
FILES_SINCE = 3
"""Before this version, a file that may only be read could still be truncated."""


def restrict(abi: int, rules: Iterable[tuple[str, int]], *, warden: bool) -> None:
    """Restrict this process for good: it may use only the files in `rules` (path, rights), signal
    no process outside, and not connect by TCP, nor bind with a `warden`. Ignores missing paths and
    paths through links. Needs `no_new_privileges`. Raises OSError.
    """
    handled = sum(bits for since, bits in _SINCE.items() if since <= abi)
    words = [handled]
    if abi >= 4:
        words.append(_TCP if warden else _TCP_CONNECT)
    if abi >= SIGNALS_SINCE:
        words.append(_SCOPES)
    _restrict(words, rules)


def restrict_writes(abi: int, writes: Iterable[str]) -> None:
    """Restrict this process for good: it may change files only below `writes`, and may write to no
    device except /dev/null. It can still read files and use the network. Raises OSError.
    """
    handled = sum(bits for since, bits in _SINCE.items() if since <= abi) & ~READ & ~_IOCTL_DEV
    _restrict([handled], [*((path, CHANGE) for path in writes), ("/dev/null", WRITE_FILE)])


def _restrict(words: list[int], rules: Iterable[tuple[str, int]]) -> None:
    handled = words[0]
    data = struct.pack(f"{len(words)}Q", *words)
    ruleset = kernel.syscall(kernel.LANDLOCK_CREATE, ctypes.c_char_p(data), len(data), 0)
    try:
        for path, rights in rules:
            _add(ruleset, path, rights & handled)
        kernel.syscall(kernel.LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        place = kernel.open_without_links(path)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        kernel.syscall(kernel.LANDLOCK_ADD, ruleset, 1, ctypes.c_char_p(rule), 0)
    finally:
        os.close(place)
