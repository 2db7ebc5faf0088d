"""Dumps of another tool in a bucket of S3, which drd lists and fetches to examine them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from drd import process
from drd.errors import NotSupported
from drd.model.units import format_duration
from drd.repositories.adopted.dump_sources import DEEPEST, Dump, Fetched
from drd.repositories.adopted.dumps import LARGEST
from drd.repositories.place import LARGEST_ANSWER
from drd.repositories.s3 import S3Place

MOST_KEYS = 5000
"""How many objects of a bucket drd looks at."""

_ALL, _BEGINNING, _HEAD = 1 << 30, 16 << 20, 64 << 10
"""How many bytes drd fetches in total, how many of a dump that is too large to fetch as a whole,
and how many of a dump of which drd only wants to know the origin."""

_FETCH_S = 300.0
"""How many seconds drd fetches dumps to examine them."""


def is_restic(place: S3Place) -> bool:
    """Return whether the bucket has a repository of restic here. Raises RepositoryMissing without
    the bucket, RepositoryUnreachable and RepositoryError."""
    return place.probe() is not None and bool(place.objects("keys"))


def has(place: S3Place, name: str) -> bool:
    """Return whether there is an object of exactly this name."""
    return any(listed.name == name for listed in place.listing(name, 1)[0])


class BucketDumps:
    """Implements `DumpSource`. What it fetches is in the directory `into`. `begin` is how the
    wanted names begin: if the bucket has too many objects, drd lists only these. `files` finds out
    whether it has still `more`, or `is_empty`."""

    most_heads = 20

    def __init__(self, place: S3Place, into: Path, begin: str = "") -> None:
        self.where = place.url
        self.more = self.is_empty = False
        self._place = place
        self._into = into
        self._begin = begin
        self._until = time.monotonic() + _FETCH_S
        self._files: dict[tuple[str, int], Path] = {}
        self._left = min(_ALL, shutil.disk_usage(into).free // 2)

    def files(self) -> Iterator[Dump]:
        """Yield the objects that are not hidden, as `DirectoryDumps` does."""
        listed, self.more = self._place.listing("", MOST_KEYS)
        if self.more and self._begin:
            listed, self.more = self._place.listing(self._begin, MOST_KEYS)
        self.is_empty = not listed
        for one in listed:
            parts = one.name.split("/")
            is_hidden = any(p.startswith(".") and p not in (".", "..") for p in parts)
            if parts[-1] and not is_hidden and len(parts) <= 1 + DEEPEST:
                yield Dump(one.name, one.written, one.size)

    def fetched(self, dump: Dump) -> Fetched:
        most = min(LARGEST, self._left)
        known = self._files.get((dump.name, dump.bytes))
        if known is not None or dump.bytes <= most:
            return Fetched(known or self._fetch(dump, dump.bytes))
        size = min(_BEGINNING, dump.bytes)
        if size > self._left and (dump.name, size) not in self._files:
            raise NotSupported(
                f"drd did not read {dump.name}, because it has fetched enough of this bucket",
                hint="choose one series with a pattern",
            )
        return Fetched(self._fetch(dump, size), whole=False)

    def beginning(self, dump: Dump) -> Path:
        known = self._files.get((dump.name, dump.bytes))
        return known or self._fetch(dump, min(_HEAD, dump.bytes))

    def _fetch(self, dump: Dump, size: int) -> Path:
        if (known := self._files.get((dump.name, size))) is not None:
            return known
        folder = self._into / str(len(self._files))
        folder.mkdir()
        path = folder / Path(dump.name).name
        with path.open("xb") as file:
            while (begin := file.tell()) < size:
                file.write(self._piece(dump, begin, min(LARGEST_ANSWER, size - begin)))
        self._files[dump.name, size] = path
        self._left = max(0, self._left - size)
        return path

    def _piece(self, dump: Dump, begin: int, count: int) -> bytes:
        process.check_cancelled()
        if time.monotonic() > self._until:
            raise NotSupported(
                f"drd did not read {dump.name} to its end, because it reads dumps of a bucket for "
                f"{format_duration(_FETCH_S)} at most",
                hint="choose one series with a pattern",
            )
        data = self._place.piece(dump.name, begin, count)
        if not data:
            raise NotSupported(
                f"{dump.name} cannot be read: the bucket lists it with {dump.bytes:,} bytes, but "
                f"gives only {begin:,}",
                hint="it was removed or replaced meanwhile, or lies in an archive from which it "
                "must be restored first",
            )
        return data
