"""Restore files for which a snapshot notes more bytes than it holds.

When a file grows just after its end was read, restic up to 0.19 continues to read and counts the
last piece twice. This happens to a log that is truncated and written during its backup. A restore
of such a file ends with zeros behind the stored bytes and without a complaint, but with fewer bytes
than restic announced. Damage looks different: restic complains about everything that is missing or
changed. drd accepts the restore only when the files known to be torn account for every missing
byte.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drd.errors import TargetUnwritable
from drd.exhaustion import place_of
from drd.ports import Torn
from drd.process import check_cancelled
from drd.repositories.restic.errors import judge
from drd.repositories.restic.maintenance import COUNT_S
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.payload import ids
from drd.repositories.restic.runner import ResticRunner

_MOST = 100
"""The largest number of such files that drd examines. Each must have changed at exactly the wrong
moment, so if there are more, the cause is another one."""

_CHUNK = 1 << 20
_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

_NAMED = re.compile(r' *file "((?:[^"\\]|\\.)*)": fixed incorrect size')
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
_PLAIN = dict(zip('abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))


class Shortfall(NamedTuple):
    """The shortfall of a restore: the number of files that came back shorter than noted, and the
    number of missing bytes. When only a part was asked for, restic counts more files as restored
    than were asked for.
    """

    files: int
    bytes: int
    part: bool

    def is_of(self, files: int) -> bool:
        return self.files <= files if self.part else self.files == files


@dataclass(frozen=True, slots=True)
class SnapshotQuestions:
    """Asks restic about a snapshot; waits for locks as long as the restore does."""

    runner: ResticRunner
    snapshot: str
    retry_lock_s: int = 0
    lockless: tuple[str, ...] = ()

    def named(self) -> list[bytes]:
        """Return the paths of the files whose noted length is wrong, in restic's order; empty when
        there are too many. The dry run of `restic repair snapshots` names them; it takes no lock
        and writes nothing."""
        listener = _NamedPaths()
        words = ["repair", "snapshots", "--dry-run", *ids([self.snapshot])]
        judge(self.runner.run(words, listener, retry_lock_s=self.retry_lock_s), self.runner.url)
        return listener.paths if len(listener.paths) <= _MOST else []

    def noted(self, paths: Sequence[bytes]) -> list[int]:
        """Return the noted lengths of files, in restic's order. There are more or fewer than paths
        when other files have the same names."""
        words = ["ls", "--json", *ids([self.snapshot]), *map(os.fsdecode, paths)]
        printed, _ = self.runner.capture(
            [*self.lockless, *words], deadline_s=COUNT_S, retry_lock_s=self.retry_lock_s
        )
        rows = [json.loads(line) for line in printed.splitlines()]
        return [int(row.get("size", 0)) for row in rows if row.get("type") == "file"]

    def stored(self, path: bytes, most: int) -> int:
        """Return the number of bytes that the snapshot holds of a file. Raises RepositoryError for
        more than `most`."""
        words = ["dump", *ids([self.snapshot]), os.fsdecode(path)]
        return self.runner.count(
            [*self.lockless, *words], most=most, retry_lock_s=self.retry_lock_s
        )


class _NamedPaths(Listener):
    def __init__(self) -> None:
        super().__init__()
        self.paths: list[bytes] = []

    def on_line(self, line: str) -> None:
        match = _NAMED.fullmatch(line)
        if match and len(self.paths) <= _MOST:
            self.paths.append(unquoted(match[1]))


def unquoted(text: str) -> bytes:
    """Return the path that Go printed with `%q`."""

    def plain(escape: re.Match[str]) -> str:
        byte, short, long, letter = escape.groups()
        if short or long:
            return chr(int(short or long, 16))
        decoded = bytes.fromhex(byte) if byte else bytes([_PLAIN[letter]])
        return decoded.decode("utf-8", "surrogateescape")

    return _ESCAPE.sub(plain, text).encode("utf-8", "surrogateescape")


def settle(told: SnapshotQuestions, into: Path, lack: Shortfall) -> tuple[Torn, ...]:
    """Find the files that exactly explain the bytes that the restore lacks, and cut each to its
    stored length. Returns no file, and cuts none, if no files explain it.

    Raises the children of RepositoryError, and TargetUnwritable.
    """
    with ExitStack() as held:
        files = _open_restored(into, told.named(), held)
        if not files or not lack.is_of(len(files)):
            return ()
        torn = _explained(told, files, lack.bytes)
        with _writing(into):
            if not torn or not all(map(_File.is_torn, files, torn)):
                return ()
            for file, one in zip(files, torn, strict=True):
                file.cut(one.stored)
    return tuple(torn)


def _explained(told: SnapshotQuestions, files: Sequence[_File], lack: int) -> list[Torn]:
    """How much of each file is stored, if these files explain the lack. All but the longest are
    read once more; the longest lacks the rest."""
    noted = told.noted([f.path for f in files])
    if len(noted) != len(files) or any(map(_File.is_longer, files, noted)):
        return []
    longest = noted.index(max(noted))
    stored = [
        told.stored(file.path, n) if i != longest else n
        for i, (file, n) in enumerate(zip(files, noted, strict=True))
    ]
    stored[longest] -= lack - (sum(noted) - sum(stored))
    paths = (f.path.decode("utf-8", "surrogateescape") for f in files)
    return list(map(Torn, paths, stored, noted))


@dataclass(frozen=True, slots=True)
class _File:
    """A restored file, open for reading and writing. `info` is its status."""

    path: bytes
    fd: int
    info: os.stat_result

    def is_longer(self, noted: int) -> bool:
        return self.info.st_size > noted

    def is_torn(self, torn: Torn) -> bool:
        """Return whether the file looks as restic leaves a torn file: it has the noted length with
        zeros at its end or, on file systems that reserve no space, the stored length."""
        if not 0 <= torn.stored < torn.noted:
            return False
        size = self.info.st_size
        return size == torn.stored or (size == torn.noted and self._is_zero_from(torn.stored))

    def _is_zero_from(self, start: int) -> bool:
        while piece := os.pread(self.fd, _CHUNK, start):
            check_cancelled()
            if piece.strip(b"\0"):
                return False
            start += len(piece)
        return True

    def cut(self, length: int) -> None:
        """Cut the file to a length; its mode and times stay those of the file that was backed
        up."""
        if self.info.st_size != length:
            os.ftruncate(self.fd, length)
        os.fchmod(self.fd, stat.S_IMODE(self.info.st_mode))
        os.utime(self.fd, ns=(self.info.st_atime_ns, self.info.st_mtime_ns))


def _open_restored(into: Path, paths: Sequence[bytes], held: ExitStack) -> list[_File]:
    """Open the files that came back. When a file has several names, restic restores it by the
    first one."""
    files: dict[tuple[int, int], _File] = {}
    for path in paths:
        file = _opened(into, path, held)
        if file is not None:
            files.setdefault((file.info.st_dev, file.info.st_ino), file)
    return list(files.values())


def _opened(into: Path, path: bytes, held: ExitStack) -> _File | None:
    """Open the regular file of that path below `into` without following links; None when there is
    none."""
    names = path.strip(b"/").split(b"/")
    if b".." in names:
        return None
    try:
        with ExitStack() as way:
            fd = os.open(into, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            way.callback(os.close, fd)
            for name in names:
                fd = os.open(name, _HOLD, dir_fd=fd)
                way.callback(os.close, fd)
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return None
            if info.st_mode & 0o600 != 0o600:  # who is not root owns it
                Path(f"/proc/self/fd/{fd}").chmod(stat.S_IMODE(info.st_mode) | 0o600)
            opened = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    held.callback(os.close, opened)
    return _File(path, opened, info)


@contextmanager
def _writing(into: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetUnwritable(
            f"cannot shorten a file below {place_of(into)} to its stored length: {error.strerror}",
            hint="check the file system there, or restore to another place.",
        ) from error
