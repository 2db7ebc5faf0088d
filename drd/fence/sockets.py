"""Connect sockets for a fenced process, and read their addresses, options and numbers."""

from __future__ import annotations

import _socket as socket
import ctypes
import errno
import os
import struct
from _thread import start_new_thread

from drd.fence import kernel
from drd.fence.addresses import inet
from drd.fence.syscall_request import CallerGone, SyscallRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def connect_in_thread(
    asked: SyscallRequest, ours: int, data: bytes, keep: int | None, then: Callable[[], None]
) -> bool:
    """Connect in a thread, with its own descriptors, and answer from there; returns True."""
    mine = os.dup(ours)
    kept = os.dup(keep) if keep is not None else None
    if kept is not None:
        data = struct.pack("=H", socket.AF_UNIX) + f"/proc/self/fd/{kept}".encode() + b"\0"

    def wait() -> None:
        number = 0
        try:
            call_with_address("connect", mine, data)
            then()
        except OSError as error:
            number = error.errno or errno.ECONNREFUSED
        finally:
            os.close(mine)
            if kept is not None:
                os.close(kept)
        try:
            asked.answer(error=number)
        except CallerGone:
            pass

    start_new_thread(wait, ())
    return True


def number_of(made: socket.socket) -> int:
    """Return the number by which /proc knows the socket."""
    return os.fstat(made.fileno()).st_ino


def sockets_of(processes: set[int]) -> set[int]:
    """Return the sockets that any of these processes has open."""
    sockets = set()
    for process in processes:
        try:
            for name in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208
                text = os.readlink(f"/proc/{process}/fd/{name}")  # noqa: PTH115
                if text.startswith("socket:["):
                    sockets.add(int(text[8:-1]))
        except OSError:
            continue
    return sockets


def call_with_address(name: str, descriptor: int, address: bytes) -> None:
    kernel.call(name, descriptor, kernel.text(address), len(address))


def option_of(descriptor: int, option: int, *, level: int = socket.SOL_SOCKET) -> int:
    value, size = ctypes.c_int(), ctypes.c_uint32(4)
    kernel.call("getsockopt", descriptor, level, option, ctypes.byref(value), ctypes.byref(size))
    return value.value


def port_of(descriptor: int) -> int:
    return address_of(descriptor)[1]


def address_of(descriptor: int) -> tuple[bytes, int]:
    data, size = ctypes.create_string_buffer(128), ctypes.c_uint32(128)
    kernel.call("getsockname", descriptor, data, ctypes.byref(size))
    return inet(data.raw)
