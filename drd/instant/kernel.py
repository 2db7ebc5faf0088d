"""The system calls for mounts without a path, which Python does not have."""

from __future__ import annotations

import ctypes
import os

_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429
"""The same numbers on all architectures."""

_FLAG, _STRING, _CREATE = 0, 1, 6
_FROM_EMPTY_PATH = 4
NOSUID, NODEV, NOEXEC, READ_ONLY = 2, 4, 8, 1
"""Attributes of a mount."""

NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000
_DETACH, _NO_FOLLOW = 2, 8

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    _done(_libc.unshare(flags), "unshare")


def set_namespace(fd: int) -> None:
    _done(_libc.setns(fd, NEW_MOUNTS), "setns")


def made_mount(kind: str, options: dict[str, str | None], attributes: int) -> int:
    """Return the descriptor of a new mount, which has no path. An option without a value is None.
    It goes away with its last descriptor."""
    context = _done(_libc.syscall(_FSOPEN, kind.encode(), 0), f"a mount of {kind}")
    try:
        for name, value in options.items():
            word, how = name.encode(), _FLAG if value is None else _STRING
            text = None if value is None else value.encode()
            _done(
                _libc.syscall(_FSCONFIG, context, how, word, text, 0),
                f"the option {name} of a mount of {kind}",
            )
        made = _libc.syscall(_FSCONFIG, context, _CREATE, None, None, 0)
        _done(made, f"a mount of {kind}{_said(context)}")
        return _done(_libc.syscall(_FSMOUNT, context, 0, attributes), f"a mount of {kind}")
    finally:
        os.close(context)


def _said(context: int) -> str:
    """Return what the kernel says about a mount that it refused."""
    lines: list[str] = []
    try:
        while len(lines) < 8:
            lines.append(os.read(context, 512).decode("utf-8", "replace").strip())
    except OSError:
        pass
    return f" ({'; '.join(lines)})" if lines else ""


def attach(mount: int, directory: int, name: str) -> None:
    """Give a mount a place: the entry `name` of an open directory."""
    done = _libc.syscall(_MOVE_MOUNT, mount, b"", directory, name.encode(), _FROM_EMPTY_PATH)
    _done(done, "the attachment of a mount")


def detach(name: str) -> None:
    """Unmount an entry of the working directory, even if something still uses it."""
    _done(_libc.umount2(name.encode(), _DETACH | _NO_FOLLOW), "the unmount")
