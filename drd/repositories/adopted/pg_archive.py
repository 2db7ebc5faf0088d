"""Say whether an archive of `pg_dump -Fc` is cut off, without reading the data in it.

Its table of contents is at its beginning, so pg_restore lists an archive that is cut off like a
complete one. The table says which entries have data. Each block of data has a length, so a walk
from block to block shows where the file ends. If `pg_dump` could seek, the table also has the place
of each block: then the walk begins at the last block. Where the walk cannot go, or takes too long,
the last bytes decide."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import IO, NamedTuple

from drd.ports.adopted import DumpOrigin

MAGIC = b"PGDMP"
_OLDEST, _NEWEST = (1, 12), (1, 16)
"""The versions of the format that drd reads here: the formats of PostgreSQL 9 to 18."""

_CUSTOM, _TABLE, _LARGE_OBJECTS = 1, 1, 3
_KNOWN_PLACE, _NO_DATA = 2, 3
_STATES = (1, _KNOWN_PLACE, _NO_DATA)
_ZERO = 5
"""How many bytes the number 0 has."""
_MOST_ENTRIES, _LONGEST, _LONGEST_WORD = 1_000_000, 64 << 20, 1024
_MOST_TEXTS = 2_000_000
"""At most so many names on which entries depend are read: a file of zeros has no end of them."""
_WALK_S = 2.0
"""How long a walk may take: each kilobyte of compressed data can be a step."""


class _Ends(Exception):
    """The file ends within the archive."""


class NotRead(Exception):
    """These bytes of the file were not read."""


class _TooLong(Exception):
    """The walk takes too long."""


class _Unknown(Exception):
    """The file is not as this module knows it: pg_restore says what is wrong with it."""


class _Entry(NamedTuple):
    id: int
    place: int | None


def judged(file: IO[bytes]) -> str | None:
    """Return by which sign an archive shows that it is cut off; empty if it is complete, None if
    drd cannot find out."""
    file.seek(0)
    reader = _Reader(file)
    try:
        return _by_its_data(reader, _contents(reader))
    except _Ends:
        return "the archive of PostgreSQL ends within its table of contents"
    except (NotRead, _TooLong):
        return _by_its_end(reader)
    except _Unknown:
        return None


def _by_its_data(reader: _Reader, entries: Sequence[_Entry]) -> str:
    left = {entry.id for entry in entries}
    places = [entry.place for entry in entries]
    if places and all(place is not None for place in places):
        begins = max(place for place in places if place is not None)
        if begins >= reader.size:
            return (
                f"the archive of PostgreSQL has only {reader.size:,} bytes, but the data of a "
                f"table begins at byte {begins:,}"
            )
        left = {entry.id for entry in entries if entry.place == begins}
        reader.go_to(begins)
    try:
        _walk(reader, left)
    except _Ends:
        return "the archive of PostgreSQL ends within the data of a table"
    return f"the archive of PostgreSQL lacks the data of {len(left)} of its tables" if left else ""


def _by_its_end(reader: _Reader) -> str:
    """Judge an archive by its last bytes: data ends with the number 0, and a table of contents,
    which stands at the end if it was appended, with the place of its last entry."""
    end = reader.end()
    if end.endswith(bytes(_ZERO)):
        return ""
    if end[0] in _STATES and int.from_bytes(end[1:], "little") < reader.size:
        return ""
    return "the archive of PostgreSQL does not end like one that pg_dump has finished"


def origin(file: IO[bytes]) -> DumpOrigin | None:
    """Return what an open archive says about its origin; None if it is another kind of file, or if
    drd cannot find out."""
    file.seek(0)
    try:
        return _header(_Reader(file))[1]
    except (_Ends, _Unknown):
        return None


class _Reader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._int = 4
        self._offset = 8
        self.texts = 0

    def sizes(self) -> None:
        self._int, self._offset = self.byte(), self.byte()
        if self._int not in (4, 8) or self._offset not in (4, 8):
            raise _Unknown

    def go_to(self, place: int) -> None:
        self._file.seek(place)

    def end(self) -> bytes:
        """Return the last place in the file, with the byte before it."""
        count = 1 + self._offset
        self.go_to(max(0, self.size - count))
        return self.bytes(min(count, self.size))

    def ended(self) -> bool:
        return self._file.tell() >= self.size

    def bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _Ends
        return data

    def byte(self) -> int:
        return self.bytes(1)[0]

    def number(self) -> int:
        data = self.bytes(1 + self._int)
        value = int.from_bytes(data[1:], "little")
        return -value if data[0] else value

    def skip(self, count: int) -> None:
        if count < 0:
            raise _Unknown
        if self._file.seek(count, os.SEEK_CUR) > self.size:
            raise _Ends

    def skip_text(self) -> bool:
        """Skip a text; return whether there is one."""
        length = self.number()
        if length > _LONGEST:
            raise _Unknown
        if length > 0:
            self.skip(length)
        return length >= 0

    def text(self) -> str:
        length = self.number()
        if length > _LONGEST_WORD:
            raise _Unknown
        return self.bytes(max(0, length)).decode(errors="replace")

    def place(self) -> tuple[int, int]:
        return self.byte(), int.from_bytes(self.bytes(self._offset), "little")


def _header(reader: _Reader) -> tuple[tuple[int, int], DumpOrigin]:
    """Read the header; return the version of the format, and the origin."""
    if reader.bytes(len(MAGIC)) != MAGIC:
        raise _Unknown
    version = reader.byte(), reader.byte()
    reader.byte()
    if not _OLDEST <= version <= _NEWEST:
        raise _Unknown
    reader.sizes()
    if reader.byte() != _CUSTOM:
        raise _Unknown
    if version >= (1, 15):
        reader.byte()  # how it is compressed
    else:
        reader.number()
    for _ in range(7):  # the time
        reader.number()
    return version, DumpOrigin(reader.text(), reader.text(), reader.text())


def _contents(reader: _Reader) -> list[_Entry]:
    """Read the header and the table of contents; return the entries with data."""
    version, _ = _header(reader)
    count = reader.number()
    if not 0 <= count <= _MOST_ENTRIES:
        raise _Unknown
    entries = (_entry(reader, version) for _ in range(count))
    return [entry for entry in entries if entry is not None]


def _entry(reader: _Reader, version: tuple[int, int]) -> _Entry | None:
    identity = reader.number()
    reader.number()
    for _ in range(4):  # two ids, name, kind
        reader.skip_text()
    reader.number()  # section
    for _ in range(6 if version >= (1, 14) else 5):  # SQL, schema, tablespace, method
        reader.skip_text()
    if version >= (1, 16):
        reader.number()
    for _ in range(2):  # owner, and a word of old versions
        reader.skip_text()
    while reader.skip_text():  # what it depends on
        reader.texts += 1
        if reader.texts > _MOST_TEXTS:
            raise _TooLong
    state, place = reader.place()
    if state == _NO_DATA:
        return None
    return _Entry(identity, place if state == _KNOWN_PLACE else None)


def _walk(reader: _Reader, left: set[int]) -> None:
    """Go from block to block until `left` is empty, or to the end; remove what has its data."""
    until = time.monotonic() + _WALK_S
    while left and not reader.ended():  # a table of contents may stand behind the data once more
        kind, identity = reader.byte(), reader.number()
        if kind == _TABLE:
            _skip_data(reader, until)
        elif kind == _LARGE_OBJECTS:
            while reader.number():
                _skip_data(reader, until)
        else:
            raise _Unknown
        left.discard(identity)


def _skip_data(reader: _Reader, until: float) -> None:
    while length := reader.number():
        reader.skip(length)
        if time.monotonic() > until:
            raise _TooLong
