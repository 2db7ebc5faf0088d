"""Servers that speak just enough of the protocols of MariaDB and PostgreSQL to answer the programs
with which drd copies a server, and that name files as no server does."""

from __future__ import annotations

import io
import socket
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

_READ_S = 20.0


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def _serving(place: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(place))
    listening.listen()
    peers: list[socket.socket] = []

    def answer(peer: socket.socket) -> None:
        with suppress(EOFError, OSError), peer:
            serve(peer)

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listening.accept()
                peer.settimeout(_READ_S)
                peers.append(peer)
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for peer in peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)


# --- MariaDB -------------------------------------------------------------------------------------

_OK = b"\0\0\0\2\0\0\0"
_VERSION = b"10.11.6-MariaDB-log"
_DUMP = 0x12


def mariadb(place: Path, file: str) -> AbstractContextManager[None]:
    """Serve a binary log whose first file has this name, at a socket."""
    return _serving(place, lambda peer: _log(peer, file))


def _log(peer: socket.socket, file: str) -> None:
    def send(number: int, body: bytes) -> None:
        peer.sendall(len(body).to_bytes(3, "little") + bytes([number]) + body)

    hello = b"\x0a5.5.5-" + _VERSION + b"\0" + struct.pack("<I", 7) + b"abcdefgh\0"
    hello += struct.pack("<HBHHB", 0xF7FF, 33, 2, 8, 21) + bytes(10) + b"ijklmnopqrst\0"
    send(0, hello + b"mysql_native_password\0")
    while True:
        header = _exactly(peer, 4)
        asked = _exactly(peer, int.from_bytes(header[:3], "little"))
        if asked.startswith(b"\3SELECT VERSION"):
            column = b"".join(bytes([len(t)]) + t for t in (b"def", b"", b"", b"", b"v", b"v"))
            column += b"\x0c" + struct.pack("<HIBHB", 33, 255, 253, 0, 0) + b"\0\0"
            row = bytes([len(_VERSION)]) + _VERSION
            for number, body in enumerate((b"\1", column, b"\xfe\0\0\2\0", row, b"\xfe\0\0\2\0")):
                send(1 + number, body)
        elif asked[0] == _DUMP:
            send(1, b"\0" + _event(4, struct.pack("<Q", 4) + file.encode()))
            send(2, b"\0" + _event(15, _format()))
            peer.recv(1)
            return
        else:
            send(1 + header[3], _OK)


def _event(kind: int, body: bytes) -> bytes:
    return struct.pack("<IBIIIH", int(kind == 15), kind, 1, 19 + len(body), 0, 0) + body


def _format() -> bytes:
    lengths = bytearray(171)
    lengths[:30] = bytes.fromhex("380d0008001200040404041200 00e40004 1a080000000808080200 00000a")
    lengths[159:162] = 4, 19, 4
    return struct.pack("<H50sIB", 4, _VERSION, 0, 19) + bytes(lengths) + bytes(5)


# --- PostgreSQL ----------------------------------------------------------------------------------


def postgres(
    directory: Path, members: Sequence[tarfile.TarInfo], data: bytes = b"evil\n"
) -> object:
    """Serve a base backup with these members, of which each file contains the data, at the socket
    of port 5432 in a directory."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            member.size = len(data) if member.isfile() else 0
            tar.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return _serving(directory / ".s.PGSQL.5432", lambda peer: _copied(peer, archive.getvalue()))


_ROWS: Mapping[str, tuple[Sequence[str], Sequence[str | None]]] = {
    "IDENTIFY_SYSTEM": (
        ("systemid", "timeline", "xlogpos", "dbname"),
        ("7000000000000000001", "1", "0/2000000", None),
    ),
    "CREATE_REPLICATION_SLOT": (
        ("slot_name", "consistent_point", "snapshot_name", "output_plugin"),
        ("pg_basebackup_1", "0/0", None, None),
    ),
    "SHOW wal_segment_size": (("v",), ("16MB",)),
    "SHOW data_directory_mode": (("v",), ("0700",)),
    "": (("v",), ("",)),
}
"""The answers to what begins with these words."""


class _Wire:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def send(self, kind: bytes, body: bytes = b"") -> None:
        self._peer.sendall(kind + struct.pack("!I", 4 + len(body)) + body)

    def rows(self, columns: Sequence[str], row: Sequence[str | None]) -> None:
        about = struct.pack("!xIHIhih", 0, 0, 25, -1, -1, 0)
        described = b"".join(name.encode() + about for name in columns)
        self.send(b"T", struct.pack("!H", len(columns)) + described)
        fields = b"".join(
            struct.pack("!i", -1) if one is None else struct.pack("!i", len(one)) + one.encode()
            for one in row
        )
        self.send(b"D", struct.pack("!H", len(row)) + fields)
        self.send(b"C", b"SELECT\0")

    def asked(self) -> str:
        """Return the next query; empty at the end."""
        kind = _exactly(self._peer, 1)
        (length,) = struct.unpack("!I", _exactly(self._peer, 4))
        text = _exactly(self._peer, length - 4).rstrip(b"\0").decode()
        return "" if kind == b"X" else text

    def greet(self) -> None:
        while True:
            (length,) = struct.unpack("!I", _exactly(self._peer, 4))
            if _exactly(self._peer, length - 4)[:4] == struct.pack("!I", 196608):
                break
            self._peer.sendall(b"N")  # neither TLS nor GSSAPI
        self.send(b"R", bytes(4))
        for about in (
            b"server_version\x0017.0",
            b"client_encoding\0UTF8",
            b"integer_datetimes\0on",
        ):
            self.send(b"S", about + b"\0")
        self.send(b"Z", b"I")

    def wait(self) -> None:
        self._peer.recv(1)


def _copied(peer: socket.socket, archive: bytes) -> None:
    wire = _Wire(peer)
    wire.greet()
    while asked := wire.asked():
        if asked.startswith("BASE_BACKUP"):
            wire.rows(("recptr", "tli"), ("0/2000028", "1"))
            wire.rows(("spcoid", "spclocation", "size"), (None, None, None))
            wire.send(b"H", bytes(3))
            wire.send(b"d", b"nbase.tar\0\0")
            wire.send(b"d", b"d" + archive)
            wire.wait()
            return
        if asked.startswith("START_REPLICATION"):
            wire.send(b"W", bytes(3))
            wire.wait()
            return
        wire.rows(*next(rows for words, rows in _ROWS.items() if asked.startswith(words)))
        wire.send(b"Z", b"I")
