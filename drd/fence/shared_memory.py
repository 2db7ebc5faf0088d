"""Shared memory of System V behind a fence: the warden makes it, so that it does not outlive the
fence."""

from __future__ import annotations

import ctypes
import errno
import struct

from drd.fence import kernel
from drd.fence.syscall_numbers import NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from drd.fence.syscall_request import SyscallRequest

_PRIVATE = 0
_CREATE, _EXCLUSIVE, _NO_RESERVE, _MODE = 0o1000, 0o2000, 0o10000, 0o777
_READ_ONLY = 0o10000
_REMOVE, _SET, _STAT = 0, 1, 2
_CONTROLS = (_SET, _STAT, 11, 12)
"""Operations on one segment, by its id: its owner and mode, its state, locked in memory or not."""

_OWNER_AT, _MODE_AT = 4, 20
"""Offsets of user, group and mode in the struct of IPC_STAT and IPC_SET, on x86_64 and aarch64."""

MOST = 256
"""The largest number of segments of one fence. The kernel has 4,096 for the whole host
(kernel.shmmni), and production's PostgreSQL needs one to start; a server makes one or two.
"""


class Segment:
    """`address` is where the warden attached it."""

    def __init__(self, key: int, size: int, address: int, owner: int) -> None:
        self.key = key
        self.size = size
        self.address = address
        self.owner = owner


class Segments:
    """The warden attaches to each segment that it makes, and marks it as removed: the kernel frees
    it with the last attached process, however the warden ends. Keys are local to the fence: no
    outside process finds a segment by its key, or loses one. `most_bytes` is for all together, and
    `MOST` for their number: a removed one counts as long as a process is attached.
    """

    def __init__(self, most_bytes: int | None) -> None:
        self._most = most_bytes
        self._made: dict[int, Segment] = {}
        self._count = 0

    def calls(self) -> dict[str, Callable[[SyscallRequest], bool | None]]:
        return {"shmget": self._get, "shmat": self._attach, "shmctl": self._control}

    def _get(self, asked: SyscallRequest) -> bool:
        key, size, flags = asked.integer(0), asked.arguments[1], asked.integer(2)
        number = next((n for n, s in self._made.items() if key != _PRIVATE and s.key == key), None)
        if number is None:
            if key != _PRIVATE and not flags & _CREATE:
                raise OSError(errno.ENOENT, "no such key here")
            number = self._make(asked, key, size, flags)
        elif flags & _CREATE and flags & _EXCLUSIVE:
            raise OSError(errno.EEXIST, "made already")
        elif size > self._made[number].size:
            raise OSError(errno.EINVAL, "it is smaller")
        asked.answer(number)
        return True

    def _make(self, asked: SyscallRequest, key: int, size: int, flags: int) -> int:
        """Make a segment for the caller. Raises OSError."""
        if flags & ~(_CREATE | _EXCLUSIVE | _NO_RESERVE | _MODE):
            raise OSError(errno.EINVAL, "no huge pages: no limit counts them")
        if self._count >= MOST:
            raise OSError(errno.ENOSPC, "more than a drill may make")
        if self._most is not None and size + sum(s.size for s in self._made.values()) > self._most:
            raise OSError(errno.ENOMEM, "more than the drill may have")
        how = flags & _NO_RESERVE | _CREATE | _EXCLUSIVE | 0o600
        made = kernel.call("shmget", _PRIVATE, ctypes.c_size_t(size), how)
        try:
            number = NUMBERS[kernel.MACHINE]["shmat"]
            address = kernel.syscall(number, made, 0, _READ_ONLY)
            owner, group = asked.owner_and_group()
            _give(made, owner, group, flags & _MODE)
        finally:
            kernel.call("shmctl", made, _REMOVE, None)
        self._made[made] = Segment(key, size, address, owner)
        self._count += 1
        return made

    def _ours(self, asked: SyscallRequest) -> Segment:
        """Return a segment by its number, which nobody can change after the decision. Raises
        OSError for any other, as if it did not exist.
        """
        segment = self._made.get(asked.integer(0))
        if segment is None:
            raise OSError(errno.EINVAL, "another's")
        return segment

    def _attach(self, asked: SyscallRequest) -> bool:
        self._ours(asked)
        asked.go_on()
        return True

    def _control(self, asked: SyscallRequest) -> bool:
        segment, what = self._ours(asked), asked.integer(1)
        if what in _CONTROLS:
            asked.go_on()
            return True
        if what != _REMOVE:
            raise OSError(errno.EINVAL, "not of one segment")
        if asked.owner_and_group()[0] not in (0, segment.owner):
            raise OSError(errno.EPERM, "another's")
        del self._made[asked.integer(0)]
        kernel.call("shmdt", ctypes.c_void_p(segment.address))
        return False


def _give(segment: int, uid: int, gid: int, mode: int) -> None:
    state = ctypes.create_string_buffer(256)
    kernel.call("shmctl", segment, _STAT, state)
    struct.pack_into("=II", state, _OWNER_AT, uid, gid)
    struct.pack_into("=H", state, _MODE_AT, mode)
    kernel.call("shmctl", segment, _SET, state)
