"""Addresses of sockets as they stand in system calls and /proc. An IP address is its 4
or 16 bytes.
"""

from __future__ import annotations

import _socket as socket
import errno
import struct

_LISTENS = "0A"
ANY_4, LOOPBACK_4 = bytes(4), bytes((127, 0, 0, 1))
ANY_6, LOOPBACK_6 = bytes(16), bytes(15) + b"\1"
MAPPED = bytes(10) + b"\xff\xff"


def family_of(data: bytes) -> int:
    if len(data) < 2:
        raise OSError(errno.EINVAL, "not an address")
    return int.from_bytes(data[:2], "little")


def inet(data: bytes) -> tuple[bytes, int]:
    """Address and port; an IPv4 address written as IPv6 becomes IPv4. Raises OSError."""
    port = int.from_bytes(data[2:4], "big")
    if family_of(data) == socket.AF_INET and len(data) >= 16:
        return data[4:8], port
    if family_of(data) == socket.AF_INET6 and len(data) >= 24:
        return unmapped(data[8:24]), port
    raise OSError(errno.EINVAL, "not an address")


def sockaddr(address: bytes, port: int) -> bytes:
    number = port.to_bytes(2, "big")
    if len(address) == len(ANY_4):
        return struct.pack("=H", socket.AF_INET) + number + address + bytes(8)
    return struct.pack("=H", socket.AF_INET6) + number + bytes(4) + address + bytes(4)


def unmapped(address: bytes) -> bytes:
    return address[12:] if address.startswith(MAPPED) else address


def is_loopback(address: bytes) -> bool:
    return address == LOOPBACK_6 or (len(address) == len(ANY_4) and address[0] == LOOPBACK_4[0])


def is_any(address: bytes) -> bool:
    return address in (ANY_4, ANY_6)


def path_of(data: bytes) -> bytes | None:
    """Return the path of a socket; None if its name is not a path."""
    rest = data[2:]
    if rest.startswith(b"\0"):
        return None
    return rest.partition(b"\0")[0]


def written(address: bytes, port: int) -> str:
    if len(address) == len(ANY_4):
        return f"{socket.inet_ntop(socket.AF_INET, address)}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"


def listeners(address: bytes | None, port: int) -> set[int]:
    """Return the sockets that would accept a connection to this address of the host; with None, the
    sockets that listen on the port at any address.
    """
    sockets = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/self/net/{name}", encoding="ascii") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] != _LISTENS or int(fields[1].rpartition(":")[2], 16) != port:
                continue
            there = _from_table(fields[1].rpartition(":")[0])
            if address is None or there == address or is_any(there):
                sockets.add(int(fields[9]))
    return sockets


def _from_table(text: str) -> bytes:
    """Parse the kernel's form: words in the host's byte order."""
    words = (text[n : n + 8] for n in range(0, len(text), 8))
    return unmapped(b"".join(int(word, 16).to_bytes(4, "little") for word in words))
