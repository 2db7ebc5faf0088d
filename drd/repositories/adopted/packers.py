"""Read what gzip, bzip2, xz and zstd have packed, to its end; or say by the last bytes alone
whether the end is there."""

from __future__ import annotations

import bz2
import lzma
import os
import select
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Protocol

from drd import process

_BLOCK, _MEMORY = 1 << 20, 128 << 20
_PIECE, _WAIT_MS = 64 << 10, 500

SUFFIXES = {
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

SMALL, _SMALL_WITH_END = 8 << 20, 1 << 20
"""The largest size in bytes of a packed file that drd reads to its end when it is listed; the
second where the last bytes show whether the end is there."""

_XZ_FOOTER, _XZ_ENDS = 12, b"YZ"
_BZIP2_ENDS, _BZIP2_BITS = 0x177245385090, 48


def by_end(packer: Packer, tail: bytes) -> str | None:
    """Return by which sign the last bytes of a packed file show that it is cut off; empty if they
    are its end, None if this packer's files do not show it."""
    ends = _ENDS.get(packer.program)
    if ends is None:
        return None
    return "" if ends(tail) else f"the end that {packer.program} writes is missing"


def small(packer: Packer) -> int:
    """Return the largest size of a file that drd reads to its end when it is listed."""
    return _SMALL_WITH_END if packer.program in _ENDS else SMALL


def _ends_xz(tail: bytes) -> bool:
    """Return whether a footer of xz, with its checksum, stands at the end; zeros may follow."""
    footer = tail.rstrip(b"\0")[-_XZ_FOOTER:]
    checksum = int.from_bytes(footer[:4], "little")
    return footer.endswith(_XZ_ENDS) and zlib.crc32(footer[4:-2]) == checksum


def _ends_bzip2(tail: bytes) -> bool:
    """Return whether a stream of bzip2 ends in the last bytes, at any bit."""
    bits, mask = int.from_bytes(tail, "big"), (1 << _BZIP2_BITS) - 1
    return any((bits >> n) & mask == _BZIP2_ENDS for n in range(len(tail) * 8 - _BZIP2_BITS + 1))


_ENDS: Mapping[str, Callable[[bytes], bool]] = {"xz": _ends_xz, "bzip2": _ends_bzip2}


class Packer:
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
    if file.seekable():
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


PACKERS: Mapping[bytes, Packer] = {
    b"\x1f\x8b": Packer("gzip"),
    b"BZh": Packer("bzip2"),
    b"\xfd7zXZ\0": Packer("xz"),
    b"\x28\xb5\x2f\xfd": Packer("zstd"),
}


def packer_of(head: bytes) -> Packer | None:
    return next((p for magic, p in PACKERS.items() if head.startswith(magic)), None)
