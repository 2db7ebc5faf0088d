"""The write-ahead log in the archive of a stanza: which segments follow each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from drd.errors import RepositoryDamaged
from drd.model import strict
from drd.repositories.adopted.stanza_info import SEGMENT, Backup, moment

SMALLEST, LARGEST = 1 << 20, 1 << 30
"""The smallest and largest segment of PostgreSQL."""

_USUAL = 16 << 20
_FILE = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(?:\.(?:gz|bz2|lz4|zst))?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")


@dataclass(frozen=True, slots=True)
class Archive:
    """The WAL of one server: when each segment arrived, by its name, and the timelines that have a
    history. `size` is the size of a segment."""

    segments: Mapping[str, datetime] = field(default_factory=dict)
    histories: frozenset[int] = frozenset()
    size: int = _USUAL
    stored_bytes: int = 0

    def chain(self, first: str, last: str = "", line: Iterable[int] = ()) -> Sequence[str]:
        """Return the segments from `first` on without a gap, up to `last` or as far as they go."""
        return tuple(self.walk(first, last, line))

    def walk(self, first: str, last: str = "", line: Iterable[int] = ()) -> Iterator[str]:
        """Yield these segments, along the timelines `line` (all, if there are none)."""
        if first not in self.segments:
            return
        lines = {_timeline(first), *(line or self.histories)}
        if last:
            lines = {t for t in {*lines, _timeline(last)} if t <= _timeline(last)}
        ordered = sorted(lines, reverse=True)
        name: str | None = first
        while name is not None:
            yield name
            name = None if name == last else self._following(name, ordered)

    def _following(self, name: str, lines: Sequence[int]) -> str | None:
        log, number = self._after(name)
        names = (f"{t:08X}{log:08X}{number:08X}" for t in lines if t >= _timeline(name))
        return next((n for n in names if n in self.segments), None)

    def beyond(self, last: str) -> Sequence[str]:
        """Return the segments after `last` of its timeline or a later one, with gaps."""
        return sorted(
            name
            for name in self.segments
            if name[8:] > last[8:] and _timeline(name) >= _timeline(last)
        )

    def _after(self, name: str) -> tuple[int, int]:
        log, number = int(name[8:16], 16), int(name[16:], 16) + 1
        return (log + 1, 0) if number >= (1 << 32) // self.size else (log, number)


def _timeline(name: str) -> int:
    return int(name[:8], 16)


def timeline(name: str) -> int:
    """Return the timeline of a segment."""
    return _timeline(name)


def segment_size(backups: Iterable[Backup]) -> int:
    """Return the size of a segment, which nothing says: the position and the segment of a backup
    fit only one."""
    sizes = [SMALLEST << n for n in range(11)]
    for backup in backups:
        number = int(backup.first[16:], 16)
        fitting = [s for s in sizes if (backup.lsn & 0xFFFFFFFF) // s == number]
        if len(fitting) == 1:
            return fitting[0]
        if _USUAL not in fitting:
            sizes = fitting or sizes
    return _USUAL if _USUAL in sizes else sizes[0]


def archive(printed: bytes, size: int) -> Archive:
    """Read the listing of the archive of one server. Raises RepositoryDamaged."""
    try:
        return _archive(printed, size)
    except strict.UnexpectedValue as error:
        raise RepositoryDamaged(
            f"drd cannot read pgBackRest's listing of the archive: {error}",
            hint="to see what pgBackRest prints, run: pgbackrest repo-ls archive --recurse "
            "--output=json",
        ) from error


def _archive(printed: bytes, size: int) -> Archive:
    segments: dict[str, datetime] = {}
    histories: set[int] = set()
    seen: set[str] = set()
    twice: set[str] = set()
    stored = 0
    for path, value in strict.document(printed, "the output").items():
        name = PurePosixPath(path).name
        if match := _HISTORY.fullmatch(name):
            histories.add(int(match[1], 16))
            continue
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        entry = strict.mapping(value, "an entry")
        at = moment(strict.member(entry, "time", match[1]), match[1])
        length = strict.count(strict.member(entry, "size", match[1]), match[1])
        stored += length
        if match[1] in seen:
            twice.add(match[1])  # of different content: pgBackRest then gives neither
        seen.add(match[1])
        if length:
            segments[match[1]] = at
    segments = {name: at for name, at in segments.items() if name not in twice}
    return Archive(segments, frozenset(histories), size, stored)


def ancestors(history: str, newest: int) -> frozenset[int]:
    """Return the timelines that a history file says it came from, and its own."""
    parents = {newest}
    for line in history.splitlines():
        words = line.split()
        if words and words[0].isdecimal():
            parents.add(int(words[0]))
    return frozenset(parents)


__all__ = ["SEGMENT", "Archive", "ancestors", "archive", "segment_size", "timeline"]
