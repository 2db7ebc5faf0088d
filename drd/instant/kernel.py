"""System calls for mounts without a path: Python does not have these calls."""

from __future__ import annotations

import ctypes
import os

_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429
"""The numbers of the system calls, which are the same on all architectures."""

_FLAG, _STRING, _CREATE = 0, 1, 6
_FROM_EMPTY_PATH = 4
NOSUID, NODEV, NOEXEC, READ_ONLY = 2, 4, 8, 1
"""The bits that set attributes of a mount."""

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
    """Make a mount without a path, and return its descriptor. The value of an option without a
    value is None. The mount ends when its last descriptor is closed."""
    context = _done(_libc.syscall(_FSOPEN, kind.encode(), 0), f"cannot make a mount of type {kind}")
    try:
        for name, value in options.items():
            word, how = name.encode(), _FLAG if value is None else _STRING
            text = None if value is None else value.encode()
            _done(
                _libc.syscall(_FSCONFIG, context, how, word, text, 0),
                f"cannot set option {name} of a mount of type {kind}",
            )
        made = _libc.syscall(_FSCONFIG, context, _CREATE, None, None, 0)
        _done(made, f"cannot make a mount of type {kind}{_said(context)}")
        return _done(
            _libc.syscall(_FSMOUNT, context, 0, attributes), f"cannot make a mount of type {kind}"
        )
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
    """Attach a mount to a path: the entry `name` of an open directory."""
    done = _libc.syscall(_MOVE_MOUNT, mount, b"", directory, name.encode(), _FROM_EMPTY_PATH)
    _done(done, f"cannot attach a mount to the directory {name}")


def detach(name: str) -> None:
    """Unmount an entry of the working directory, even if something still uses it."""
    _done(_libc.umount2(name.encode(), _DETACH | _NO_FOLLOW), f"cannot unmount {name}")
