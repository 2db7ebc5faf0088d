"""Say why a dump is cut off: many formats say themselves how a whole dump ends.

A dump of SQL that ends too early restores without an error, and lacks the rest."""

from __future__ import annotations

import lzma
import os
import stat
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

from drd import process
from drd.model.units import format_duration
from drd.ports import OnProgress, Progress
from drd.ports.adopted import CopyDamaged, DumpOrigin, FoundFile, ReadToEnd
from drd.repositories.adopted import packers, pg_archive
from drd.repositories.adopted.packers import Packer
from drd.repositories.restic.examined_stream import lower_priority

REMEDY = (
    "find out in the log of the other tool why the dump stopped, or whether the copy was made "
    "before the dump was complete. Choose another restore point"
)

_HEAD, _TAIL = 1024, 4096
_MOST_UNPACKED = 1 << 30
"""How many bytes of what a file unpacks to drd reads when it is listed."""
_MOST_TIMES = 1000
"""drd reads no more of a restored file than so many times its size: what is packed more tightly is
no dump."""
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
_QUIET_S = 60.0
"""drd regards a file as finished if nothing was written to it for so many seconds."""
_TAR, _TAR_AT, _TAR_END = b"ustar", 257, 1024
"""What a header of tar has, at which byte, and how many zeros are at the end of an archive."""


class Unusable(Exception):
    """The content of a packed file is damaged."""


def why_cut_off(
    file: IO[bytes], *, unpacks: bool, seconds: float | None = None, ends_with: str = ""
) -> str:
    """Return by which sign an open file shows that it is cut off; empty if it is complete, or if
    drd cannot find out. `unpacks`: read a packed file to its end, for so many seconds, and as far
    as a dump can be packed. `ends_with` is how the file ends, by the plan."""
    until = None if seconds is None else time.monotonic() + seconds
    most = max(_MOST_UNPACKED, _MOST_TIMES * file.seek(0, os.SEEK_END))

    def enough(unpacked: int) -> bool:
        return unpacked > most or (until is not None and time.monotonic() > until)

    return _judged(file, enough if unpacks else None, ends_with) or ""


def _judged(
    file: IO[bytes], enough: Callable[[int], bool] | None, ends_with: str = ""
) -> str | None:
    """See `why_cut_off`; None if drd cannot find out. A packed file is read until it is `enough` by
    the number of bytes that it unpacks to; without that, its last bytes decide."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(min(size, _HEAD))
    packer = packers.packer_of(head)
    if packer is not None and enough is not None:
        with suppress(Unusable):  # the command that restores it says what is wrong
            return _of_packed(packer, file, enough, ends_with)
        return None
    if head.startswith(SQLITE):
        return _of_sqlite(head, size)
    if head.startswith(pg_archive.MAGIC):
        return pg_archive.judged(file)
    file.seek(max(0, size - _TAIL))
    tail = file.read(min(size, _TAIL))
    if packer is not None:
        return packers.by_end(packer, tail)
    if head[_TAR_AT:].startswith(_TAR):
        return _of_tar(tail)
    return _of_text(head, tail, ends_with)


class Looked(NamedTuple):
    """By which sign a file shows that it is cut off, what it says about its origin, and its first
    and last bytes; the last ones only if it is not packed. `unknown`: drd cannot find out whether
    it is cut off. `to_read`: the file is packed, and only reading it to its end shows that."""

    cut_off: str = ""
    origin: DumpOrigin | None = None
    head: bytes = b""
    tail: bytes = b""
    unknown: bool = True
    to_read: bool = False

    def found(self, entry: FoundFile) -> FoundFile:
        """Return an entry of a copy with what a look into it has shown."""
        return entry._replace(
            cut_off=self.cut_off,
            origin=self.origin,
            head=self.head,
            tail=self.tail,
            unknown=self.unknown,
            to_read=self.to_read,
        )

    def of_archive(self) -> Looked:
        """Return the part of the result that also holds for a packed file or an archive from which
        a program extracts the data."""
        return Looked(self.cut_off, unknown=self.unknown, to_read=self.to_read)


def of_path(path: Path, size: int) -> Looked:
    """Examine the first and last bytes of a file of this host; return nothing known if it is
    another kind of file, or if drd cannot find out."""
    try:
        with _opened(path) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or info.st_size != size:
                return Looked()
            return of_file(file)
    except OSError:
        return Looked()


def path_to_its_end(path: Path, size: int, seconds: float, on_progress: OnProgress) -> ReadToEnd:
    """Read a packed file of this host to its end, with low priority. drd stores nothing of it."""

    def read() -> ReadToEnd:
        lower_priority()
        with _opened(path) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return ReadToEnd("being-written", "it is no file any more")
            age_s = time.time() - before.st_mtime
            if 0 <= age_s < _QUIET_S:
                why = f"it was written to {format_duration(age_s)} ago"
                return ReadToEnd("being-written", why)

            def told() -> None:
                done = os.lseek(file.fileno(), 0, os.SEEK_CUR)
                on_progress(Progress(path.name, "read", done, size))

            head = file.read(_HEAD)
            why_not = read_to_its_end(head, file, seconds, told) if is_packed(head) else ""
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        after = path.stat()
        if _state(before) != _state(after) or after.st_size != size:
            return ReadToEnd("being-written", "it changed while drd read it")
        return as_read(why_not, seconds)

    with ThreadPoolExecutor(1, thread_name_prefix="drd-examine") as pool:
        return pool.submit(read).result()


def _opened(path: Path) -> IO[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe has no end
    return os.fdopen(handle, "rb")


def _state(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ino


def of_file(file: IO[bytes], *, whole: bool = True) -> Looked:
    """Examine an open file. If it is not `whole`, only its first and last bytes can be read. How
    much is read depends on the file alone, so that the answer is always the same."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(min(size, _HEAD))
    reads = whole and is_small(head, size)
    why = _judged(file, _enough if reads else None)
    origin = pg_archive.origin(file)
    file.seek(max(0, size - _TAIL))
    is_packed = packers.packer_of(head) is not None
    tail = b"" if is_packed else file.read(min(size, _TAIL))
    to_read = is_packed and (why is None or not (why or reads))
    return Looked(why or "", origin, head, tail, why is None, to_read)


def _enough(unpacked: int) -> bool:
    return unpacked > _MOST_UNPACKED


def is_small(head: bytes, size: int) -> bool:
    """Return whether a file that begins like this is packed, and small enough to be read to its
    end when it is listed."""
    packer = packers.packer_of(head)
    return packer is not None and size <= packers.small(packer)


def read_to_its_end(
    head: bytes, file: IO[bytes], seconds: float, on_read: Callable[[], None]
) -> str | None:
    """Read a packed file, which begins with `head`, or a pipe to its end. Return by which sign it
    is cut off or damaged; empty if it is whole, None if that takes longer than `seconds`. `on_read`
    is called after each block."""
    packer, until = packers.packer_of(head), time.monotonic() + seconds
    assert packer is not None

    def enough(unpacked: int) -> bool:  # noqa: ARG001 - nothing is kept, so only the time counts
        on_read()
        return time.monotonic() > until

    try:
        return _of_packed(packer, file, enough, "")
    except Unusable as error:
        return str(error)


def as_read(why: object, seconds: float) -> ReadToEnd:
    """Return the result of `read_to_its_end`, `why`, as a `ReadToEnd`."""
    if why is None:
        return ReadToEnd("too-long", f"it takes longer than {format_duration(seconds)} to read it")
    return ReadToEnd("cut-off", str(why)) if why else ReadToEnd("whole")


def is_packed(head: bytes) -> bool:
    """Return whether a file that begins like this is packed."""
    return packers.packer_of(head) is not None


class Ends(BytesIO):
    """A file of which only the first and the last bytes were read. Raises NotRead for others."""

    def __init__(self, head: bytes, tail: bytes, size: int) -> None:
        super().__init__()
        self._head, self._tail, self._size, self._at = head, tail, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int | None = -1, /) -> bytes:
        left = max(0, self._size - self._at)
        count = left if count is None or count < 0 else min(count, left)
        begin, self._at = self._at, self._at + count
        if self._at <= len(self._head):
            return self._head[begin : self._at]
        first = self._size - len(self._tail)
        if begin < first:
            raise pg_archive.NotRead
        return self._tail[begin - first : self._at - first]


def why_no_dump(head: bytes, name: str, begins: bytes = b"") -> str:
    """Return by which sign the first bytes of a file show that it is not a dump: all are zeros,
    they do not belong to the packer that the file's name indicates, or such a dump begins
    differently. Empty if there is no such sign."""
    if not head:
        return ""
    if not head.strip(b"\0"):
        return f"its first {len(head):,} bytes are zeros"
    packer = packers.SUFFIXES.get(Path(name).suffix.lower())
    if packer and packers.packer_of(head) is None:
        return f"it does not begin like a file of {packer}"
    if begins and not head.startswith(begins):
        return f"it does not begin with {begins.decode().rstrip(chr(0))!r}"
    return ""


def unpack_whole(path: Path, into: Path, most: int) -> bool:
    """Unpack a whole file into a new one; return whether the result has at most `most` bytes."""
    with path.open("rb") as file, into.open("xb") as unpacked:
        head = file.read(_HEAD)
        packer = packers.packer_of(head)
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


def why_ends_wrong(tail: bytes, ends_with: str) -> str:
    """Return by which sign the last bytes of a file show that it is cut off."""
    if ends_with and not tail.rstrip().endswith(ends_with.rstrip().encode()):
        return f"it does not end with {ends_with!r}"
    return ""


def _of_text(head: bytes, tail: bytes, ends_with: str) -> str | None:
    if why := why_ends_wrong(tail, ends_with):
        return why
    for what, begins, ends in _TEXTS:
        if begins in head[:_WITHIN]:
            lacks = f"{what} ends with the line {ends.decode()!r}, which is missing"
            return "" if ends in tail else lacks
    return "" if ends_with else None


def _of_sqlite(head: bytes, size: int) -> str | None:
    def number(at: int, length: int) -> int:
        return int.from_bytes(head[at : at + length], "big")

    page = 65536 if number(16, 2) == 1 else number(16, 2)
    pages = number(28, 4)
    if page not in _PAGES or len(head) < 100 or number(24, 4) != number(92, 4):
        return (
            None  # it is damaged, or an old program wrote it and the number of pages is not valid
        )
    whole = page * pages
    return f"the SQLite file has only {size:,} of {whole:,} bytes" if size < whole else ""


def _of_packed(
    packer: Packer, file: IO[bytes], enough: Callable[[int], bool], ends_with: str
) -> str | None:
    """Raises Unusable if it is damaged."""
    unpacked, head, tail = 0, b"", b""
    if file.seekable():
        file.seek(0)
    try:
        for block in packer.blocks(file):
            process.check_cancelled()
            unpacked += len(block)
            if enough(unpacked):
                return None
            head = head if len(head) >= _HEAD else (head + block)[:_HEAD]
            tail = (tail + block)[-_TAIL:]
    except EOFError:
        return f"the end that {packer.program} writes is missing"
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise Unusable(f"{packer.program} cannot unpack it: {error}") from error
    return _judged(Ends(head, tail, unpacked), None, ends_with) or ""


def _of_tar(tail: bytes) -> str:
    """Return a sentence if the two empty blocks are missing with which an archive of tar ends. The
    programs that read archives do not report that."""
    whole = len(tail) >= _TAR_END and not tail[-_TAR_END:].strip(b"\0")
    return "" if whole else "the archive of tar lacks the empty blocks at its end"
