"""Look through the newest copy in a repository of restic for what a new plan can name."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drd.errors import NoRestorePoint, NotSupported
from drd.masking import masked
from drd.model import strict
from drd.ports.dumps import FoundDump
from drd.repositories.adopted.cut_off import why_cut_off
from drd.repositories.adopted.dumps import recognised
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.payload import ids

MOST_FOUND = 20
"""The number of files that may be dumps, and that a survey looks into."""

_DUMPS = (".dump", ".pgdump", ".pg_dump")
_SQLITE = (".db", ".sqlite", ".sqlite3")
_DUMPED = re.compile(r"dump|backup|\.bak", re.IGNORECASE)
"""What the path of a dump contains, if its suffix does not tell."""

_ROOM = "/var/tmp"  # noqa: S108 - a new directory of our own in it
_LARGEST, _ALL = 256 << 20, 1 << 30
"""How large a file, and all files together, may be that drd fetches to look into them."""


class FoundFile(NamedTuple):
    """A database in a copy: its kind, by its content, else by its name; `dump` is what was seen in
    it."""

    path: str
    kind: str
    dump: FoundDump | None = None


class Sample(NamedTuple):
    """The largest file of a path, and how many the path has."""

    path: str
    bytes: int
    files: int


@dataclass(slots=True)
class Survey:
    """The newest copy: when and on which host it was made, of which paths; databases in it, and a
    sample of each path that has other files. `cut_off` has by path why a dump is not whole."""

    host: str
    made_at: datetime
    paths: tuple[str, ...]
    copies: int
    databases: list[FoundFile] = field(default_factory=list)
    others: dict[str, Sample] = field(default_factory=dict)
    cut_off: dict[str, str] = field(default_factory=dict)


def survey(repository: ResticRepository, host: str | None) -> Survey:
    """Look through the newest copy, of this host. Raises NoRestorePoint, RepositoryError."""
    repository.runner.only_reads = True
    listing = repository.snapshots(fresh=True)
    copies = [s for s in listing if host in (None, s.host) and "drd" not in s.tags]
    if not copies:
        hosts = ", ".join(sorted({s.host for s in listing})) or "none"
        raise NoRestorePoint(
            f"the repository at {repository.url} has no copy"
            + (f" of host {host}" if host else ""),
            hint=f"hosts of the copies there: {hosts}.",
        )
    newest = copies[-1]
    same = [s for s in copies if (s.host, s.paths) == (newest.host, newest.paths)]
    found = Survey(newest.host, newest.time, newest.paths, len(same))
    entries = _Entries(newest.paths)
    done = repository.runner.run(["ls", "--json", *ids([newest.id])], entries)
    judge(done, repository.url)
    found.others = entries.others
    place = _ROOM if os.access(_ROOM, os.W_OK) else None
    with TemporaryDirectory(prefix="drd-", dir=place) as room:
        _look_into(repository, newest.id, entries.candidates, found, Path(room))
    return found


def _look_into(
    repository: ResticRepository,
    copy: str,
    candidates: Mapping[str, int],
    found: Survey,
    room: Path,
) -> None:
    """Fetch the files that may be dumps, and note what is in them. What is too large is judged by
    its name."""
    left = min(_ALL, shutil.disk_usage(room).free // 2)
    for path, size in candidates.items():
        by_name = _kind_of(path)
        seen: tuple[str, FoundDump] | None = None
        if 0 < size <= min(left, _LARGEST):
            left -= size
            file = room / PurePosixPath(path).name
            repository.save_file(copy, path, file, most=size)
            try:
                seen = _seen(file, path, found)
            finally:
                file.unlink()
        if seen is not None and not seen[1].unpack:  # an archive is no file that drd restores
            found.databases.append(FoundFile(path, *seen))
        elif by_name:
            found.databases.append(FoundFile(path, by_name))
        elif path not in found.cut_off:
            note(found.others, found.paths, path, size)


def _seen(file: Path, path: str, found: Survey) -> tuple[str, FoundDump] | None:
    with file.open("rb") as opened:
        why = why_cut_off(opened, unpacks=True)
    if why:
        found.cut_off[path] = why
        return None
    try:
        return recognised(file)
    except NotSupported:
        return None


def _kind_of(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return "postgres" if suffix in _DUMPS else "sqlite" if suffix in _SQLITE else ""


class _Entries(Listener):
    """Reads the listing line by line, and keeps what a plan can name."""

    def __init__(self, roots: Sequence[str]) -> None:
        super().__init__()
        self._roots = roots
        self.candidates: dict[str, int] = {}
        self.others: dict[str, Sample] = {}

    def on_line(self, line: str) -> None:
        try:
            node = json.loads(line)
            path, kind = str(node.get("path", "")), node.get("type")
            size = strict.count(node.get("size", 0), "size")
        except (ValueError, AttributeError):
            return
        self.done += 1
        if kind != "file" or not path.startswith("/") or not path.isprintable():
            return
        if masked(path) != path:  # a plan must not show the password
            return
        known = _kind_of(path) or _DUMPED.search(path)
        if known and len(self.candidates) < MOST_FOUND:
            self.candidates[path] = size
        else:
            note(self.others, self._roots, path, size)


def note(others: dict[str, Sample], roots: Sequence[str], path: str, size: int) -> None:
    """Count a file for the path of the copy below which it lies."""
    root = next((r for r in roots if path == r or path.startswith(f"{r.rstrip('/')}/")), None)
    if root is None:
        return
    before = others.get(root, Sample(path, -1, 0))
    largest = max(before, Sample(path, size, 0), key=lambda sample: sample.bytes)
    others[root] = largest._replace(files=before.files + 1)
