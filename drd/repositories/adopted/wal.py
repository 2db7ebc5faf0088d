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
_FILE = re.compile(r"([0-9A-F]{24})-([0-9a-f]{40})(\.(?:gz|bz2|lz4|zst))?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")


_CUT = "is empty or cut off"
_TWICE = "is in the archive twice with different contents, and pgBackRest uses neither"


@dataclass(frozen=True, slots=True)
class Archive:
    """The WAL of one server: when each segment arrived, by its name, and the timelines that have a
    history. `size` is the size of a segment. `unusable` has, by name, why pgBackRest cannot deliver
    an existing segment: no chain can continue through such a segment, or around it on another
    timeline."""

    segments: Mapping[str, datetime] = field(default_factory=dict)
    histories: frozenset[int] = frozenset()
    size: int = _USUAL
    stored_bytes: int = 0
    unusable: Mapping[str, str] = field(default_factory=dict)

    def chain(self, first: str, last: str = "", line: Iterable[int] = ()) -> Sequence[str]:
        """Return the segments from `first` on without a gap, up to `last` or to the first gap."""
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
        next_name = next((n for n in names if n in self.segments or n in self.unusable), None)
        return next_name if next_name in self.segments else None

    def ends_at(self, last: str) -> tuple[str, str] | None:
        """Return the first existing segment after `last` that cannot be used, and why; None if
        there is none, or if a segment is missing before it."""
        log, number = self._after(last)
        name = f"{log:08X}{number:08X}"
        ending_names = (
            n for n in self.unusable if n[8:] == name and _timeline(n) >= _timeline(last)
        )
        return next(((n, self.unusable[n]) for n in sorted(ending_names, reverse=True)), None)

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
    """Return the size of a segment in bytes. It is not stored anywhere: only one size fits the
    position and the segment of a backup."""
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
    contents: dict[str, set[str]] = {}
    arrived: dict[str, datetime] = {}
    histories: set[int] = set()
    stored = 0
    for path, value in strict.document(printed, "the output").items():
        base = PurePosixPath(path).name
        if match := _HISTORY.fullmatch(base):
            histories.add(int(match[1], 16))
            continue
        match = _FILE.fullmatch(base)
        if match is None:
            continue
        name, digest, packed = match.groups()
        entry = strict.mapping(value, "an entry")
        at = moment(strict.member(entry, "time", name), name)
        length = strict.count(strict.member(entry, "size", name), name)
        stored += length
        contents.setdefault(name, set()).add(digest)
        if length >= (1 if packed else SMALLEST):
            arrived[name] = min(at, arrived.get(name, at))
    # The same content packed in two ways is fine: pgBackRest takes one of them.
    twice = {name: _TWICE for name, digests in contents.items() if len(digests) > 1}
    unusable = {**{name: _CUT for name in contents if name not in arrived}, **twice}
    segments = {name: at for name, at in arrived.items() if name not in twice}
    return Archive(segments, frozenset(histories), size, stored, unusable)


def ancestors(history: str, newest: int) -> frozenset[int]:
    """Return the timelines that a history file says it came from, and its own."""
    parents = {newest}
    for line in history.splitlines():
        words = line.split()
        if words and words[0].isdecimal():
            parents.add(int(words[0]))
    return frozenset(parents)


__all__ = ["SEGMENT", "Archive", "ancestors", "archive", "segment_size", "timeline"]
