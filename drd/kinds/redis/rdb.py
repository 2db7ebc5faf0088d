"""Count what an RDB file contains, without a server: keys by database and type.

The format is that of `rdb.h` and `rdb.c` of Redis and Valkey. Values are skipped, not decoded. The
file may be hostile: a wrong length can only lead beyond its end, which is an error, and only
numbers, digests and a few short names are kept.
"""

from __future__ import annotations

import hashlib
import itertools
import mmap
import re
import struct
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drd.model.units import format_duration
from drd.process import check_cancelled

HEAD = re.compile(rb"(REDIS|VALKEY)(\d{3,4})")
"""The beginning of a file: its program, and the version of its format."""

_MADE_AT = re.compile(rb"\xfa\x05ctime(?:\xc2(.{4})|\x0a(\d{10}))", re.DOTALL)

MOST_DATABASES = 1 << 16
_TAIL = 9
"""Bytes after the last key: the end mark, and the checksum."""
_LOOK_KEYS = 4096
_MOST_MODULES = 20
_MOST_FUNCTIONS = 10_000

_STRING, _SETS, _ZSET, _HASH, _ZSET_2, _MODULE_2 = 0, (1, 2), 3, 4, 5, 7
_STREAMS = {15: 1, 19: 2, 21: 3}
_QUICKLIST, _QUICKLIST_2 = 14, 18
_HASH_FIELDS_PRE, _HASH_PACKED_PRE, _HASH_FIELDS, _HASH_PACKED = 22, 23, 24, 25
_PACKED = frozenset({0, 9, 10, 11, 12, 13, 16, 17, 20})
"""Types of values that are one string."""

_EXPIRES = 252
"""Precedes a key with a time to live, in milliseconds."""
_END = struct.Struct("<Q")
_COMMON = _PACKED | {_EXPIRES}

_NAMES = {
    **dict.fromkeys((0,), "string"),
    **dict.fromkeys((1, 10, 14, 18), "list"),
    **dict.fromkeys((2, 11, 20), "set"),
    **dict.fromkeys((3, 5, 12, 17), "zset"),
    **dict.fromkeys((4, 9, 13, 16, 22, 23, 24, 25), "hash"),
    **dict.fromkeys((15, 19, 21), "stream"),
}
_OF_MODULE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class MalformedRdb(ValueError):
    """The file is not an RDB file, or it ends in the middle."""


class _Unknown(Exception):
    """A part of the format that drd does not know: drd cannot read what comes after it."""


@dataclass(slots=True)
class RdbContent:
    """What a file contains. `keys` counts the keys that stay, by database and type; `expiring` has,
    for each key with a time to live (its own, or of fields of a hash), until when it surely lives,
    in milliseconds since 1970. `entries` counts the entries of the streams that stay, by database.
    `functions` are digests of the libraries. `unread` says why the rest was not counted, empty if
    all was; `modules` are the modules whose data is in the file.
    """

    program: str
    version: int
    keys: Counter[tuple[int, str]] = field(default_factory=Counter)
    expiring: dict[tuple[int, str], array[int]] = field(default_factory=dict)
    entries: Counter[int] = field(default_factory=Counter)
    functions: list[str] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    databases: int = 1
    unread: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.keys or self.expiring or self.functions or self.modules or self.unread)


def head_of(data: bytes) -> tuple[str, int]:
    """Return the program and the version of the format. Raises MalformedRdb."""
    match = HEAD.match(data)
    if match is None or len(match[0]) != _TAIL:
        raise MalformedRdb("it does not begin as an RDB file does")
    return match[1].decode().lower(), int(match[2])


def made_at(beginning: bytes) -> int | None:
    """Return the time at which the server began the file, in seconds since 1970, from the first
    bytes of the file; None if they do not have it."""
    match = _MADE_AT.search(beginning)
    if match is None:
        return None
    if match[2] is not None:
        return int(match[2])
    return int.from_bytes(match[1], "little", signed=True)


def read(path: Path, budget_s: float | None = None) -> RdbContent:
    """Count the keys of a file. Raises MalformedRdb, OSError."""
    with path.open("rb") as file:
        program, version = head_of(file.read(_TAIL))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(data, RdbContent(program, version), budget_s)
            try:
                reader.run()
            except (IndexError, OverflowError) as error:
                raise MalformedRdb("it ends in the middle") from error
            except _Unknown as error:
                reader.content.unread = str(error)
    return reader.content


def module_name(number: int) -> str:
    """Return the name of a module's type: nine characters in the upper 54 bits."""
    shifts = range(58, 4, -6)
    return "".join(_OF_MODULE[number >> shift & 63] for shift in shifts)


def _string_end(data: mmap.mmap, at: int) -> int:
    """Return where a string that begins at `at` ends; 0 for a rare form. Raises IndexError."""
    first = data[at]
    if first < 64:
        return at + 1 + first
    if first < 128:
        return at + 2 + ((first & 63) << 8 | data[at + 1])
    if 192 <= first < 195:
        return at + 1 + (1 << (first - 192))
    return 0


class _Reader:
    """One pass over a file."""

    def __init__(self, data: mmap.mmap, content: RdbContent, budget_s: float | None) -> None:
        self._data = data
        self._at = _TAIL
        self.content = content
        self._budget_s = budget_s
        self._limit = None if budget_s is None else time.monotonic() + budget_s

    def run(self) -> None:
        data, content = self._data, self.content
        database, expires = 0, -1
        for seen in itertools.count(1):
            if seen % _LOOK_KEYS == 0:
                self._check_limits()
            if expires < 0 and data[self._at] in _COMMON:
                self._common(database)
            code = data[self._at]
            self._at += 1
            if code < 240:  # a value, after its key
                self._skip_string()
                self._value(code, database, expires)
                expires = -1
            elif code == _EXPIRES:
                expires = self._number(8)
            elif code == 253:
                expires = self._number(4) * 1000
            elif code == 254:
                database = self._length()
                if database >= MOST_DATABASES:
                    raise MalformedRdb(
                        f"it contains a database with the impossible number {database:,}"
                    )
                content.databases = max(content.databases, database + 1)
            elif code == 255:
                self._end()
                return
            else:
                self._aside(code)

    def _common(self, database: int) -> None:
        """Count keys whose key and value are strings of a common form: most files have little else,
        and this takes half the time. Stops before the first other key."""
        data, at = self._data, self._at
        stay, ends = [0] * 256, {code: array("Q") for code in _PACKED}
        try:
            for seen in itertools.count(1):
                code, after = data[at], at + 1
                if has_end := code == _EXPIRES:
                    code, after = data[at + 9], at + 10
                if code not in _PACKED:
                    return
                after = _string_end(data, after)
                after = after and _string_end(data, after)
                if not after:
                    return
                if has_end:
                    ends[code].append(_END.unpack_from(data, at + 1)[0])
                else:
                    stay[code] += 1
                at = after
                if seen % _LOOK_KEYS == 0:
                    self._check_limits()
        finally:
            self._at = at
            self._add(database, stay, ends)

    def _add(self, database: int, stay: list[int], ends: Mapping[int, array[int]]) -> None:
        for code in _PACKED:
            key = (database, _NAMES[code])
            if stay[code]:
                self.content.keys[key] += stay[code]
            if ends[code]:
                self.content.expiring.setdefault(key, array("Q")).extend(ends[code])

    def _check_limits(self) -> None:
        check_cancelled()
        if self._limit is not None and time.monotonic() > self._limit:
            assert self._budget_s is not None
            raise _Unknown(f"the time limit of {format_duration(self._budget_s)} was reached")

    def _end(self) -> None:
        left = len(self._data) - self._at
        if left != 8:
            raise MalformedRdb(f"it has {left:,} bytes after its end mark, not 8")

    def _aside(self, code: int) -> None:
        """Skip a part that is not a key."""
        if code == 250:
            self._skip_string()
            self._skip_string()
        elif code == 251:
            self._lengths(2)
        elif code == 249:
            self._at += 1
        elif code == 248:
            self._length()
        elif code == 245:
            begin = self._at
            self._skip_string()
            if len(self.content.functions) >= _MOST_FUNCTIONS:
                raise _Unknown(f"it has more than {_MOST_FUNCTIONS:,} libraries of functions")
            self.content.functions.append(hashlib.sha256(self._data[begin : self._at]).hexdigest())
        elif code == 244:
            self._lengths(3)
        elif code == 247:
            self._module(self._length(), heads=2)
        else:
            raise _Unknown(f"drd does not know the part {code} of the RDB format")

    def _value(self, code: int, database: int, expires: int) -> None:
        name, entries = _NAMES.get(code, ""), 0
        if code in _PACKED:
            self._skip_string()
        elif code in _SETS:
            self._strings(self._length())
        elif code == _HASH:
            self._strings(2 * self._length())
        elif code == _QUICKLIST_2:
            for _ in self._times(self._length()):
                self._length()
                self._skip_string()
        elif code in _STREAMS:
            entries = self._stream(_STREAMS[code])
        else:
            name, expires = self._rare(code, name, expires)
        key = (database, name)
        if expires >= 0:
            self.content.expiring.setdefault(key, array("Q")).append(expires)
            return
        self.content.keys[key] += 1
        if entries:
            self.content.entries[database] += entries

    def _rare(self, code: int, name: str, expires: int) -> tuple[str, int]:
        """Skip a value of an old type, or one whose name or end depends on its content."""
        if code == _QUICKLIST:
            self._strings(self._length())
        elif code == _ZSET_2:
            for _ in self._times(self._length()):
                self._skip_string()
                self._at += 8
        elif code == _ZSET:
            for _ in self._times(self._length()):
                self._skip_string()
                size = self._data[self._at]
                self._at += 1 + (size if size < 253 else 0)
        elif code == _MODULE_2:
            name = self._module(self._length(), heads=0)
        elif self.content.program == "redis" and _HASH_FIELDS_PRE <= code <= _HASH_PACKED:
            first = self._number(8) if code in (_HASH_FIELDS, _HASH_PACKED) else 0
            self._fields() if code in (_HASH_FIELDS_PRE, _HASH_FIELDS) else self._skip_string()
            expires = first if expires < 0 else min(expires, first)
        else:
            raise _Unknown(f"drd does not know the type {code} of values in the RDB format")
        return name, expires

    def _fields(self) -> None:
        for _ in self._times(self._length()):
            self._length()
            self._strings(2)

    def _stream(self, form: int) -> int:
        """Skip a stream; return the number of its entries."""
        self._strings(2 * self._length())
        entries = self._length()
        self._lengths(2 if form == 1 else 7)
        for _ in self._times(self._length()):
            self._skip_string()
            self._lengths(2 if form == 1 else 3)
            for _ in self._times(self._length()):
                self._at += 24
                self._length()
            for _ in self._times(self._length()):
                self._skip_string()
                self._at += 16 if form == 3 else 8
                pending = self._length()
                self._at += 16 * pending
        return entries

    def _module(self, number: int, *, heads: int) -> str:
        """Skip the data of a module; return its name."""
        name = module_name(number & ((1 << 64) - 1))
        if len(self.content.modules) < _MOST_MODULES:
            self.content.modules.add(name)
        elif name not in self.content.modules:
            name = "other modules"
        self._lengths(heads)
        skips: dict[int, Callable[[], object]] = {
            1: self._length,
            2: self._length,
            3: lambda: self._number(4),
            4: lambda: self._number(8),
            5: self._skip_string,
        }
        for _ in self._times(len(self._data)):
            code = self._length()
            if code == 0:
                break
            if code not in skips:
                raise MalformedRdb(f"the data of module {name} cannot be read")
            skips[code]()
        return name

    def _times(self, count: int) -> Iterator[int]:
        """Count up to `count`; meanwhile check the time limit, and whether the run is cancelled."""
        for number in range(count):
            if number % _LOOK_KEYS == _LOOK_KEYS - 1:
                self._check_limits()
            yield number

    def _strings(self, count: int) -> None:
        for _ in self._times(count):
            self._skip_string()

    def _lengths(self, count: int) -> None:
        for _ in self._times(count):
            self._length()

    def _number(self, size: int) -> int:
        at = self._at
        self._at = at + size
        if self._at > len(self._data):
            raise IndexError
        return int.from_bytes(self._data[at : self._at], "little")

    def _skip_string(self) -> None:
        data, at = self._data, self._at
        first = data[at]
        if first < 64:
            self._at = at + 1 + first
        elif first < 128:
            self._at = at + 2 + (((first & 63) << 8) | data[at + 1])
        elif first < 192:
            self._at = at + self._length()
            self._at += 5 if first == 128 else 9
        elif first < 195:
            self._at = at + 1 + (1 << (first - 192))
        elif first == 195:
            self._at = at + 1
            packed = self._length()
            self._length()
            self._at += packed
        else:
            raise MalformedRdb(f"it has an unknown kind of string ({first})")

    def _length(self) -> int:
        data, at = self._data, self._at
        first = data[at]
        if first < 64:
            self._at = at + 1
            return first
        if first < 128:
            self._at = at + 2
            return ((first & 63) << 8) | data[at + 1]
        size = {128: 4, 129: 8}.get(first)
        if size is None:
            raise MalformedRdb(f"it has an unknown kind of length ({first})")
        self._at = at + 1 + size
        if self._at > len(data):
            raise IndexError
        return int.from_bytes(data[at + 1 : self._at], "big")
