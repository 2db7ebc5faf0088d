"""The files of a binary log: positions in them, and the events that they contain.

A position in the log is a number: that of the file, and behind it the place in the file."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from drd.errors import RepositoryDamaged

SHIFT = 40
"""The number of bits of a position that are for the place in a file."""

MAGIC = b"\xfebin"
PIECE_BYTES = 16 << 20
"""A file is stored in pieces of this size, so that restic reads again only the last one."""

EARLIER = (
    "recover to an earlier time: --before TIME; or recover the restore point without the log: "
    "--point ID."
)

_NUMBERED = re.compile(r".*\.([0-9]{6,10})", re.DOTALL)
_PIECE = re.compile(r"binlog\.([0-9]{6,10})\.([0-9]{4,6})")
_PLACE = re.compile(r"(?:[^/:]*\.)?([0-9]{6,10}):([0-9]{1,12})")

_HEADER = struct.Struct("<IBIIIH")
_FORMAT, _GTID, _GTID_LIST = 15, 162, 163
_GTID_BODY, _LISTED = struct.Struct("<QIB"), struct.Struct("<IIQ")
_KEPT = 1 << 20
_CRC_BYTES = 4
_TRANSACTIONAL = 4


class Gtid(NamedTuple):
    """The id of a transaction in the log."""

    domain: int
    server: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.number}"


class Transaction(NamedTuple):
    """A transaction in the log: its place, the second in which its last statement began, and
    whether a storage engine commits it (statements such as CREATE TABLE have no commit)."""

    position: int
    gtid: Gtid
    at: int
    commits: bool


class Head(NamedTuple):
    """The beginning of a file: the second in which the server made it, the server's number, and all
    bytes of the event."""

    made: int
    server: int
    event: bytes


def number_of(name: str) -> int | None:
    """Return the number of a file of a binary log, whatever the log is called."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else None


def place(number: int, offset: int) -> int:
    return number << SHIFT | offset


def split(position: int) -> tuple[int, int]:
    """Return the number of the file, and the place in it."""
    return position >> SHIFT, position & ((1 << SHIFT) - 1)


def show(position: int) -> str:
    number, offset = split(position)
    return f"{number:06d}:{offset}"


def read_place(text: str) -> int | None:
    """Read a position as a person writes it: `000004:1234`, or with the name of the log before
    it."""
    match = _PLACE.fullmatch(text)
    return place(int(match[1]), int(match[2])) if match else None


def piece_name(number: int, index: int) -> str:
    return f"binlog.{number:06d}.{index:04d}"


def piece_of(name: str) -> tuple[int, int] | None:
    """Return the number of the file, and which piece of it this is."""
    match = _PIECE.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def head_of(file: Path) -> Head | None:
    """Return the beginning of a file; None if it has not arrived yet, or if this is
    no binary log."""
    with file.open("rb") as opened:
        start = opened.read(len(MAGIC) + _HEADER.size)
        if len(start) < len(MAGIC) + _HEADER.size or not start.startswith(MAGIC):
            return None
        made, kind, server, length, _, _ = _HEADER.unpack_from(start, len(MAGIC))
        opened.seek(len(MAGIC))
        event = opened.read(min(length, _KEPT))
    return Head(made, server, event) if kind == _FORMAT and len(event) == length else None


class _Event(NamedTuple):
    offset: int
    at: int
    kind: int
    server: int
    body: bytes


class LogReader:
    """Reads the files of a log in their order, and compares every event with its checksum, and each
    file with the transactions before it. `last` is the newest transaction of each domain and
    server."""

    def __init__(self) -> None:
        self.last: dict[tuple[int, int], int] = {}
        self._is_first = True

    def transactions(
        self, file: Path, number: int, end: int | None = None
    ) -> Iterator[Transaction]:
        """Yield the transactions of a file, which ends at the place `end`. Raises
        RepositoryDamaged."""
        with file.open("rb") as opened:
            for event in _events(opened, number, end):
                if event.kind == _GTID_LIST:
                    self._continue(event, number)
                elif event.kind == _GTID:
                    if len(event.body) < _GTID_BODY.size:
                        raise _damaged(number, event.offset, _TOO_SHORT)
                    sequence, domain, flags = _GTID_BODY.unpack_from(event.body)
                    gtid = Gtid(domain, event.server, sequence)
                    yield Transaction(
                        place(number, event.offset), gtid, event.at, bool(flags & _TRANSACTIONAL)
                    )
                    self.last[domain, event.server] = sequence

    def _continue(self, event: _Event, number: int) -> None:
        """Compare the list of transactions at the beginning of a file with the transactions in the
        files before it."""
        count = int.from_bytes(event.body[:4], "little") & 0xFFFFFFF
        if len(event.body) < 4 + count * _LISTED.size:
            raise _damaged(number, event.offset, _TOO_SHORT)
        listed = {}
        for index in range(count):
            domain, server, sequence = _LISTED.unpack_from(event.body, 4 + index * _LISTED.size)
            listed[domain, server] = sequence
        known = {} if self._is_first else self.last
        lost = [key for key, sequence in known.items() if listed.get(key, sequence) != sequence]
        if lost:
            raise RepositoryDamaged(
                f"file {number:06d} of the binary log does not continue the file before it: "
                f"the server wrote it after transaction {Gtid(*lost[0], listed[lost[0]])}, and the "
                f"files before it end with transaction {Gtid(*lost[0], known[lost[0]])}",
                hint=EARLIER,
            )
        self.last = {**listed, **known}
        self._is_first = False


_TOO_SHORT = "an event is too short for its kind"


def _damaged(number: int, offset: int, why: str) -> RepositoryDamaged:
    return RepositoryDamaged(
        f"the binary log is damaged at {show(place(number, offset))}: {why}", hint=EARLIER
    )


def _events(opened: BinaryIO, number: int, end: int | None) -> Iterator[_Event]:
    """Yield the events of a file, each compared with its checksum."""
    damaged = partial(_damaged, number)
    size = opened.seek(0, 2)
    limit = size if end is None else end
    opened.seek(0)
    if size < limit or opened.read(len(MAGIC)) != MAGIC:
        raise damaged(0, "the file is too short" if size < limit else "this is no binary log")
    offset, checked = len(MAGIC), None
    while offset < limit:
        header = opened.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise damaged(offset, "the file ends in the middle of an event")
        at, kind, server, length, _, _ = _HEADER.unpack(header)
        if length < _HEADER.size or offset + length > limit:
            raise damaged(offset, "the length of an event is impossible")
        if checked is None and kind != _FORMAT:
            raise damaged(offset, "the first event does not describe the format")
        body, crc, stored = _body(opened, header, length)
        if kind == _FORMAT:
            checked = len(body) > _CRC_BYTES and body[-1 - _CRC_BYTES] == 1
        if checked and crc != stored:
            raise damaged(offset, "the checksum of an event is wrong")
        yield _Event(offset, at, kind, server, body)
        offset += length


def _body(opened: BinaryIO, header: bytes, length: int) -> tuple[bytes, int, int]:
    """Return the beginning of an event's body, the checksum of the event, and the one that is
    stored at its end."""
    left = length - len(header)
    first = opened.read(min(left, _KEPT))
    left -= len(first)
    crc, held = zlib.crc32(header), first
    while left and (data := opened.read(min(left, _KEPT))):
        crc = zlib.crc32(held[:-_CRC_BYTES], crc)
        held = held[-_CRC_BYTES:] + data
        left -= len(data)
    crc = zlib.crc32(held[:-_CRC_BYTES], crc)
    return first, crc, int.from_bytes(held[-_CRC_BYTES:], "little")
