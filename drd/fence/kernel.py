"""System calls for which Python has no functions."""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

MACHINE = os.uname().machine

# The same on every architecture, as all calls added after Linux 5.1.
OPENAT2, PIDFD_GETFD = 437, 438
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(MACHINE, -1)
UTIMENSAT = {"x86_64": 280, "aarch64": 88}.get(MACHINE, -1)

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 38, 36
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 40


def syscall(number: int, *arguments: Any) -> int:
    """Return the result of the call. Raises OSError. Numbers are passed as longs, buffers as they
    are."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise _error()
    return result


def call(name: str, *arguments: Any) -> int:
    """Return a function of the C library that returns -1 for an error. Raises OSError."""
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def text(data: bytes) -> Any:
    """Bytes as an argument; zeros in them do not end it."""
    return ctypes.c_char_p(data)


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    longs = [ctypes.c_ulong(v) for v in (value, third, 0, 0)]
    return call("prctl", ctypes.c_int(option), *longs)


def die_with_parent(number: int) -> None:
    """Have the kernel send this signal when the thread that made this process ends."""
    prctl(_PR_SET_PDEATHSIG, number)


def own_proc() -> None:
    """Make this process's files in /proc belong to its user again after a change of user."""
    prctl(_PR_SET_DUMPABLE, 1)


def no_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def keep_capabilities(kept: int) -> None:
    """Give up all capabilities except these (a bit mask), for good; missing capabilities are
    ignored."""
    for number in range(LAST_CAPABILITY + 1):
        try:
            if not kept >> number & 1 and prctl(_PR_CAPBSET_READ, number) == 1:
                prctl(_PR_CAPBSET_DROP, number)
        except OSError:  # changing the set needs a right; without new privileges it is unnecessary
            break
    try:
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    except OSError:
        pass  # a kernel without ambient capabilities
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    call("capget", header, sets)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    for index in range(3):
        sets[index] &= low if index < 2 else 0
        sets[index + 3] &= high if index < 2 else 0
    call("capset", header, sets)


def landlock_abi() -> int:
    """Return the version of Landlock's interface; 0 if the kernel has no Landlock."""
    try:
        return syscall(LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x02, 0x04


def open_without_magic(base: int, path: bytes, flags: int) -> int:
    """Open a path with openat2, which follows ordinary links, but not the links in /proc/PID/fd and
    similar ones."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS)
    return syscall(OPENAT2, base, ctypes.c_char_p(path), how, ctypes.sizeof(how))


def open_without_links(path: str) -> int:
    """Return an O_PATH descriptor of a real path; OSError if a link now lies on the way."""
    flags = os.O_PATH | os.O_CLOEXEC
    how = (ctypes.c_uint64 * 3)(flags, 0, RESOLVE_NO_SYMLINKS)
    try:
        return syscall(OPENAT2, -100, ctypes.c_char_p(os.fsencode(path)), how, ctypes.sizeof(how))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return os.open(path, flags | os.O_NOFOLLOW)  # containers whose filter does not know openat2


def duplicate(process: int, number: int) -> int:
    """Return a duplicate of this descriptor of a process, by the id of its first thread. Raises
    OSError."""
    leader = os.pidfd_open(process)
    try:
        return syscall(PIDFD_GETFD, leader, number, 0)
    finally:
        os.close(leader)


def watch(watcher: int, descriptor: int, mask: int) -> int:
    """Call inotify_add_watch on the file of an O_PATH descriptor; return the number of the
    watch."""
    path = ctypes.c_char_p(b"/proc/self/fd/%d" % descriptor)
    return call("inotify_add_watch", ctypes.c_int(watcher), path, ctypes.c_uint32(mask))


def set_times(descriptor: int, times: bytes | None) -> None:
    """Call utimensat on the file of an O_PATH descriptor; `times` are two timespecs, None means
    now.
    """
    buffer = ctypes.create_string_buffer(times, 32) if times is not None else None
    syscall(UTIMENSAT, descriptor, ctypes.c_char_p(b""), buffer, 0x1000)
