"""Say why a dump is cut off: many formats say themselves how a whole dump ends.

A dump of SQL that ends too early restores without an error, and lacks the rest."""

from __future__ import annotations

import bz2
import lzma
import os
import select
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from drd import process
from drd.ports.adopted import CopyDamaged, DumpOrigin
from drd.repositories.adopted import pg_archive

REMEDY = (
    "find out in the log of the other tool why the dump stopped, or whether the copy was made "
    "before the dump was complete. Choose another restore point"
)

_HEAD, _TAIL, _BLOCK, _MEMORY = 1024, 4096, 1 << 20, 128 << 20
_PIECE, _WAIT_MS = 64 << 10, 500
SQLITE = b"SQLite format 3\0"
_PAGES = frozenset(1 << n for n in range(9, 17))
"""The sizes that a page can have."""


class _Format(NamedTuple):
    """What a dump in text begins with, within its first bytes, and what it ends with."""

    what: str
    begins: bytes
    ends: bytes


_TEXTS = (
    _Format(
        "a dump of pg_dumpall", b"-- PostgreSQL database cluster dump", b"cluster dump complete"
    ),
    _Format("a dump of PostgreSQL", b"-- PostgreSQL database dump", b"database dump complete"),
    _Format("a dump of MariaDB", b"-- MariaDB dump", b"-- Dump completed"),
    _Format("a dump of MySQL", b"-- MySQL dump", b"-- Dump completed"),
    _Format("a dump of SQLite", b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", b"COMMIT;"),
)
_WITHIN = 256
_SUFFIXES = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    ".tbz2": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zstd",
    ".tzst": "zstd",
}
"""The packers by the ends of names."""


def why_cut_off(
    file: IO[bytes], *, unpacks: bool, seconds: float | None = None, ends_with: str = ""
) -> str:
    """Return by which sign an open file shows that it is cut off; empty if it is complete, or if
    drd cannot find out. `unpacks`: read a packed file to its end, for so many seconds. `ends_with`
    is how the file ends, by the plan."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(_HEAD)
    packer = _packer_of(head)
    if packer is not None:
        return _of_packed(packer, file, seconds, ends_with) if unpacks else ""
    if head.startswith(SQLITE):
        return _of_sqlite(head, size)
    if head.startswith(pg_archive.MAGIC):
        return pg_archive.why_cut_off(file)
    file.seek(max(0, size - _TAIL))
    return _of_text(head, file.read(_TAIL), ends_with)


class Looked(NamedTuple):
    """By which sign a file shows that it is cut off, what it says about its origin, and its first
    bytes."""

    cut_off: str = ""
    origin: DumpOrigin | None = None
    head: bytes = b""


def of_path(path: Path, size: int) -> Looked:
    """Examine the first and last bytes of a file of this host; return nothing known if it is
    another kind of file, or if drd cannot find out."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe has no end
        with os.fdopen(handle, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or info.st_size != size:
                return Looked()
            why, origin = why_cut_off(file, unpacks=False), pg_archive.origin(file)
            file.seek(0)
            return Looked(why, origin, file.read(_HEAD))
    except OSError:
        return Looked()


def why_no_dump(head: bytes, name: str, begins: bytes = b"") -> str:
    """Return by which sign the first bytes of a file show that it is not a dump: all are zeros,
    they do not belong to the packer that the file's name indicates, or such a dump begins
    differently. Empty if there is no such sign."""
    if not head:
        return ""
    if not head.strip(b"\0"):
        return f"its first {len(head):,} bytes are zeros"
    packer = _SUFFIXES.get(Path(name).suffix.lower())
    if packer and _packer_of(head) is None:
        return f"it does not begin like a file of {packer}"
    if begins and not head.startswith(begins):
        return f"it does not begin with {begins.decode().rstrip(chr(0))!r}"
    return ""


def unpack_whole(path: Path, into: Path, most: int) -> bool:
    """Unpack a whole file into a new one; return whether the result has at most `most` bytes."""
    with path.open("rb") as file, into.open("xb") as unpacked:
        head = file.read(_HEAD)
        packer = _packer_of(head)
        assert packer is not None
        file.seek(0)
        for block in packer.blocks(file):
            process.check_cancelled()
            if unpacked.tell() + len(block) > most:
                return False
            unpacked.write(block)
    return True


def require_whole(file: Path, copy: str, ends_with: str) -> None:
    """Raise CopyDamaged if the file of a copy, which has landed, is cut off."""
    with file.open("rb") as opened:
        why = why_cut_off(opened, unpacks=True, ends_with=ends_with)
    if why:
        raise CopyDamaged(f"copy {copy} is cut off: {why}", hint=f"{REMEDY}: drd points PLAN")


def _of_text(head: bytes, tail: bytes, ends_with: str) -> str:
    if ends_with and not tail.rstrip().endswith(ends_with.rstrip().encode()):
        return f"it does not end with {ends_with!r}"
    for what, begins, ends in _TEXTS:
        if begins in head[:_WITHIN]:
            lacks = f"{what} ends with the line {ends.decode()!r}, which is missing"
            return "" if ends in tail else lacks
    return ""


def _of_sqlite(head: bytes, size: int) -> str:
    def number(at: int, length: int) -> int:
        return int.from_bytes(head[at : at + length], "big")

    page = 65536 if number(16, 2) == 1 else number(16, 2)
    pages = number(28, 4)
    if page not in _PAGES or len(head) < 100 or number(24, 4) != number(92, 4):
        return ""  # it is damaged, or an old program wrote it and the number of pages is not valid
    whole = page * pages
    return f"the SQLite file has only {size:,} of {whole:,} bytes" if size < whole else ""


def _of_packed(packer: _Packer, file: IO[bytes], seconds: float | None, ends_with: str) -> str:
    until = None if seconds is None else time.monotonic() + seconds
    head = tail = b""
    file.seek(0)
    try:
        for block in packer.blocks(file):
            process.check_cancelled()
            if until is not None and time.monotonic() > until:
                return ""
            head = head if len(head) >= _HEAD else (head + block)[:_HEAD]
            tail = (tail + block)[-_TAIL:]
    except EOFError:
        return f"the end that {packer.program} writes is missing"
    except (OSError, zlib.error, lzma.LZMAError):
        return ""  # the command that restores it says what is wrong
    return _of_text(head, tail, ends_with)


class _Packer:
    def __init__(self, program: str) -> None:
        self.program = program

    def blocks(self, file: IO[bytes]) -> Iterator[bytes]:
        """Yield what is packed, and empty blocks where nothing is, so that the caller can look at
        the time: a file may have millions of empty members. Raises EOFError if the file ends too
        early."""
        if self.program == "zstd":
            yield from _of_zstd(file)
            return
        fresh = _READERS[self.program]
        reader = fresh()
        while data := file.read(_PIECE):
            while data or not (reader.needs_input or reader.eof):
                if reader.eof:
                    data = data.lstrip(b"\0")
                    if not data:
                        yield b""
                        break
                    reader = fresh()
                yield reader.decompress(data, _BLOCK)
                data = reader.unused_data if reader.eof else b""
        if not reader.eof:
            raise EOFError


class _Reader(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Gunzip:
    """One member of a file of gzip, as the readers of bz2 and lzma read theirs."""

    def __init__(self) -> None:
        self._of = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._of.eof

    @property
    def needs_input(self) -> bool:
        return not self._of.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._of.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        return self._of.decompress(self._of.unconsumed_tail + data, max_length)


_READERS: Mapping[str, Callable[[], _Reader]] = {
    "gzip": _Gunzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),  # the file says how much it takes
}


def _of_zstd(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what the program zstd unpacks. Raises ToolMissing without it."""
    words = [process.find_tool("zstd", package="zstd"), "--decompress", "--stdout", "--quiet"]
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    reading, writing = os.pipe()
    try:
        child = process.start(process.Command(words), stdin=file.fileno(), stdout=writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        with os.fdopen(reading, "rb") as printed:
            ready = select.poll()
            ready.register(printed, select.POLLIN)
            while True:
                if not ready.poll(_WAIT_MS):
                    yield b""
                    continue
                block = os.read(printed.fileno(), _BLOCK)
                if not block:
                    break
                yield block
        done = child.pump()
    finally:
        child.stop(grace_s=0.0)
        if child.popen.stderr is not None:
            child.popen.stderr.close()
    if done.exit_code != 0:
        raise EOFError if "premature" in done.complaint else OSError(done.complaint)


_PACKERS: Mapping[bytes, _Packer] = {
    b"\x1f\x8b": _Packer("gzip"),
    b"BZh": _Packer("bzip2"),
    b"\xfd7zXZ\0": _Packer("xz"),
    b"\x28\xb5\x2f\xfd": _Packer("zstd"),
}


def _packer_of(head: bytes) -> _Packer | None:
    return next((p for magic, p in _PACKERS.items() if head.startswith(magic)), None)
