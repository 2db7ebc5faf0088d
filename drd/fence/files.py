"""File operations that Landlock does not restrict: modes, times and watches, which the warden
executes itself.
"""

from __future__ import annotations

import errno
import os
import stat

from drd.fence import kernel
from drd.fence.syscall_request import AT_FDCWD, SyscallRequest, below, location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NOFOLLOW, _EMPTY_PATH = 0x100, 0x1000
_DONT_FOLLOW = 0x02000000
_SPECIAL = stat.S_ISUID | stat.S_ISGID


class Files:
    """Executes system calls for files below the fence's own directories, with the rights of the
    caller; refuses all others with EPERM. Files that can be read can also be watched.
    """

    def __init__(self, own: tuple[str, ...], readable: tuple[str, ...] = ()) -> None:
        self._own = own
        self._readable = (*own, *readable)

    def calls(self) -> dict[str, Callable[[SyscallRequest], bool | None]]:
        return {
            "chmod": lambda a: self._chmod(a, AT_FDCWD, 0, 1),
            "fchmod": self._fchmod,
            "fchmodat": lambda a: self._chmod(a, a.integer(0), 1, 2),
            "fchmodat2": self._fchmodat2,
            "utime": lambda a: self._times(a, AT_FDCWD, 0, self._seconds(a, 1, "=qq")),
            "utimes": lambda a: self._times(a, AT_FDCWD, 0, self._micros(a, 1)),
            "futimesat": lambda a: self._times(a, a.integer(0), 1, self._micros(a, 2)),
            "utimensat": self._utimensat,
            "inotify_add_watch": self._watch,
        }

    def _require_own(self, asked: SyscallRequest, descriptor: int) -> os.stat_result:
        """Raise OSError unless it lies here and belongs to the caller."""
        info = os.fstat(descriptor)
        if not below(location(descriptor), self._own):
            raise OSError(errno.EPERM, "outside")
        if asked.owner() not in (0, info.st_uid):
            raise OSError(errno.EPERM, "another's")
        return info

    def _change(self, asked: SyscallRequest, descriptor: int, mode: int) -> None:
        info = self._require_own(asked, descriptor)
        special = _SPECIAL if not stat.S_ISDIR(info.st_mode) else stat.S_ISUID
        if mode & special or stat.S_ISLNK(info.st_mode):
            raise OSError(errno.EPERM, "not behind a fence")
        if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            raise OSError(errno.EPERM, "a device")
        os.chmod(f"/proc/self/fd/{descriptor}", mode & 0o7777)  # noqa: PTH101

    def _chmod(
        self, asked: SyscallRequest, base: int, path: int, mode: int, *, follow: bool = True
    ) -> None:
        text = asked.text(asked.arguments[path])
        if not text:
            raise OSError(errno.ENOENT, "no path")
        with asked.place(base, text, follow=follow) as file:
            self._change(asked, file, asked.integer(mode))

    def _fchmod(self, asked: SyscallRequest) -> None:
        with asked.file(asked.integer(0)) as file:
            self._change(asked, file, asked.integer(1))

    def _fchmodat2(self, asked: SyscallRequest) -> None:
        flags = asked.integer(3)
        if flags & _EMPTY_PATH and not asked.text(asked.arguments[1]):
            self._fchmod_at(asked)
            return
        self._chmod(asked, asked.integer(0), 1, 2, follow=not flags & _NOFOLLOW)

    def _fchmod_at(self, asked: SyscallRequest) -> None:
        with asked.place(asked.integer(0), b"") as file:
            self._change(asked, file, asked.integer(2))

    def _watch(self, asked: SyscallRequest) -> bool:
        text, mask = asked.text(asked.arguments[1]), asked.arguments[2] & 0xFFFFFFFF
        if not text:
            raise OSError(errno.ENOENT, "no path")
        with asked.place(AT_FDCWD, text, follow=not mask & _DONT_FOLLOW) as file:
            info = os.fstat(file)
            if not below(location(file), self._readable):
                raise OSError(errno.EACCES, "outside")
            if asked.owner() not in (os.geteuid(), info.st_uid) and not info.st_mode & stat.S_IROTH:
                raise OSError(errno.EACCES, "another's")
            try:
                taken = asked.duplicate(asked.integer(0))
            except PermissionError as error:  # within drd's unit: programs can then poll instead
                raise OSError(errno.ENOSPC, "no watches") from error
            with taken as watcher:
                number = kernel.watch(watcher, file, mask & ~_DONT_FOLLOW)
        asked.answer(number)
        return True

    # times

    @staticmethod
    def _seconds(asked: SyscallRequest, index: int, _: str) -> bytes | None:
        address = asked.arguments[index]
        if not address:
            return None
        data = asked.memory(address, 16)
        return data[:8] + bytes(8) + data[8:] + bytes(8)

    @staticmethod
    def _micros(asked: SyscallRequest, index: int) -> bytes | None:
        address = asked.arguments[index]
        if not address:
            return None
        data = asked.memory(address, 32)
        nanos = [int.from_bytes(data[n : n + 8], "little") * 1000 for n in (8, 24)]
        if any(n >= 10**9 for n in nanos):
            raise OSError(errno.EINVAL, "more than a second")
        return (
            data[:8] + nanos[0].to_bytes(8, "little") + data[16:24] + nanos[1].to_bytes(8, "little")
        )

    def _utimensat(self, asked: SyscallRequest) -> None:
        times = asked.memory(asked.arguments[2], 32) if asked.arguments[2] else None
        if not asked.arguments[1]:
            with asked.file(asked.integer(0)) as file:
                self._set(asked, file, times)
            return
        follow = not asked.integer(3) & _NOFOLLOW
        self._times(
            asked,
            asked.integer(0),
            1,
            times,
            follow=follow,
            empty=bool(asked.integer(3) & _EMPTY_PATH),
        )

    def _times(
        self,
        asked: SyscallRequest,
        base: int,
        path: int,
        times: bytes | None,
        *,
        follow: bool = True,
        empty: bool = False,
    ) -> None:
        text = asked.text(asked.arguments[path])
        if not text and not empty:
            raise OSError(errno.ENOENT, "no path")
        with asked.place(base, text, follow=follow) as file:
            self._set(asked, file, times)

    def _set(self, asked: SyscallRequest, descriptor: int, times: bytes | None) -> None:
        self._require_own(asked, descriptor)
        kernel.set_times(descriptor, times)
