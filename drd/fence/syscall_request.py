"""One system call that waits for a decision, and the process that made it."""

from __future__ import annotations

import errno
import os
import stat
import struct
from fcntl import ioctl

from drd.fence import kernel

_RECEIVE, _SEND, _STILL_THERE, _ADD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_DESCRIPTOR = struct.Struct("=QIIII")
_ADD_AND_ANSWER = 2
_PATH_MAX = 4096
AT_FDCWD = -100


class CallerGone(Exception):
    """The process that asked is gone, or does not wait any more."""


class OwnedDescriptor:
    """A descriptor that is closed at the end."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


class SyscallRequest:
    """`process` is the thread that waits."""

    def __init__(
        self, listener: int, key: int, process: int, number: int, arguments: tuple[int, ...]
    ) -> None:
        self.listener = listener
        self.key = key
        self.process = process
        self.number = number
        self.arguments = arguments

    def integer(self, index: int) -> int:
        """Return an int argument."""
        value = self.arguments[index] & 0xFFFFFFFF
        return value - (1 << 32) if value >> 31 else value

    def waits(self) -> None:
        """Raise CallerGone unless the same process still waits: another process may have its number
        now.
        """
        try:
            ioctl(self.listener, _STILL_THERE, struct.pack("=Q", self.key))
        except OSError as error:
            raise CallerGone from error

    def memory(self, address: int, size: int) -> bytes:
        """Return a copy of the memory there. All decisions use this copy, which the process cannot
        change.
        """
        try:
            with open(f"/proc/{self.process}/mem", "rb", buffering=0) as file:
                self.waits()
                file.seek(address)
                return file.read(size)
        except (OSError, OverflowError, ValueError) as error:
            raise OSError(errno.EFAULT, "its memory cannot be read") from error

    def text(self, address: int) -> bytes:
        """Return a path. It may end right before an unmapped page."""
        data = b""
        while len(data) < _PATH_MAX:
            part = self.memory(address + len(data), 4096 - (address + len(data)) % 4096)
            end = part.find(b"\0")
            if end >= 0:
                return data + part[:end]
            if not part:
                raise OSError(errno.EFAULT, "no end")
            data += part
        raise OSError(errno.ENAMETOOLONG, "too long")

    def file(self, number: int) -> OwnedDescriptor:
        """Return an O_PATH descriptor of the file behind a descriptor of the process; not for
        sockets."""
        held = OwnedDescriptor(
            os.open(f"/proc/{self.process}/fd/{number}", os.O_PATH | os.O_CLOEXEC)
        )
        self.waits()
        return held

    def duplicate(self, number: int) -> OwnedDescriptor:
        """Return a duplicate of one of its descriptors. Raises OSError, with EPERM where drd's unit
        does not allow it.
        """
        leader = int(self._status("Tgid")[0])
        held = OwnedDescriptor(kernel.duplicate(leader, number))
        self.waits()
        return held

    def socket(self, number: int) -> int:
        """Return the number of the socket behind a descriptor of the process. Raises OSError."""
        text = os.readlink(f"/proc/{self.process}/fd/{number}")  # noqa: PTH115
        self.waits()
        if not text.startswith("socket:["):
            raise OSError(errno.ENOTSOCK, "no socket")
        return int(text[8:-1])

    def owner(self) -> int:
        """Return the user whose rights on files it uses."""
        return int(self._status("Uid")[3])

    def owner_and_group(self) -> tuple[int, int]:
        """Return the user and group of the files that it makes."""
        return int(self._status("Uid")[1]), int(self._status("Gid")[1])

    def mask(self) -> int:
        """Return the process's umask."""
        return int(self._status("Umask")[0], 8)

    def _status(self, name: str) -> list[str]:
        try:
            with open(f"/proc/{self.process}/status", encoding="ascii", errors="replace") as file:
                for line in file:
                    if line.startswith(f"{name}:"):
                        self.waits()
                        return line.split()[1:]
        except OSError as error:
            raise CallerGone from error
        raise CallerGone

    def place(self, base: int, path: bytes, *, follow: bool = True) -> OwnedDescriptor:
        """Return an O_PATH descriptor of the file that a path means for the process; `base` as for
        openat. Does not follow links that only /proc has, because they would lead into the warden.
        """
        flags = os.O_PATH | (0 if follow else os.O_NOFOLLOW)
        if path.startswith(b"/"):
            return OwnedDescriptor(kernel.open_without_magic(-1, path, flags))
        where = "cwd" if base == AT_FDCWD else f"fd/{base}"
        start = OwnedDescriptor(os.open(f"/proc/{self.process}/{where}", os.O_PATH | os.O_CLOEXEC))
        if not path:
            self.waits()
            return start
        with start as at:
            self.waits()
            return OwnedDescriptor(kernel.open_without_magic(at, path, flags))

    def answer(self, value: int = 0, error: int = 0) -> None:
        """Let the process continue with this result. Raises CallerGone."""
        try:
            ioctl(self.listener, _SEND, _ANSWER.pack(self.key, value, -error, 0))
        except OSError as lost:
            raise CallerGone from lost

    def go_on(self) -> None:
        """Let the kernel execute the call. Only correct if nothing was decided by memory or a
        descriptor, which may have changed.
        """
        try:
            ioctl(self.listener, _SEND, _ANSWER.pack(self.key, 0, 0, 1))
        except OSError as lost:
            raise CallerGone from lost

    def give(self, descriptor: int, *, closes_on_exec: bool) -> None:
        """Answer with a duplicate of a descriptor of ours."""
        flags = os.O_CLOEXEC if closes_on_exec else 0
        data = _DESCRIPTOR.pack(self.key, _ADD_AND_ANSWER, descriptor, 0, flags)
        try:
            ioctl(self.listener, _ADD, data)
        except OSError as lost:
            raise CallerGone from lost


def received(listener: int) -> SyscallRequest | None:
    """Return the next waiting call; None if there are no more."""
    data = bytearray(_NOTIFICATION.size)
    try:
        ioctl(listener, _RECEIVE, data, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
            return None
        raise
    key, process, _, number, _, _, *arguments = _NOTIFICATION.unpack(data)
    return SyscallRequest(listener, key, process, number, tuple(arguments))


def location(descriptor: int) -> str:
    """Return the current path of the file behind a descriptor."""
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a hundred microseconds less


def below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
