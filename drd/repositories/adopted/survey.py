"""Search the newest copy in a repository of restic for data that a new plan can name."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drd.errors import NoRestorePoint, NotSupported, UsageError
from drd.masking import masked
from drd.model import strict
from drd.model.dump_names import is_dated
from drd.model.text import counted, escaped, shortened, some
from drd.model.units import format_size, format_time
from drd.ports import SnapshotInfo
from drd.ports.dumps import FoundDump, KeepsOf, NotLoaded, UnpacksOf
from drd.registry import KINDS
from drd.repositories.adopted.cut_off import why_cut_off
from drd.repositories.adopted.dumps import LARGEST, LOOK_S, recognised, room
from drd.repositories.adopted.restic import ABSOLUTE, is_drds, relative_roots
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.payload import ids

MOST_FOUND = 20
"""The number of files that may be dumps, and that a survey looks into."""

_DUMPS = (".dump", ".pgdump", ".pg_dump")
_SQLITE = (".db", ".sqlite", ".sqlite3")
_PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_SQL = re.compile(r"\.(?:sql|ldif)(?:\.(?:gz|bz2|xz|zst))?$", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(?:tgz|tar(?:\.(?:gz|bz2|xz|zst))?)$", re.IGNORECASE)
_DATE = (
    "its name contains a date or a day, so a component cannot name this file in each copy: let "
    "the other tool write the file under the same name each time"
)
_BEYOND = f"drd read only the first {MOST_FOUND} files that may be dumps"
_DUMPED = re.compile(r"dump|backup|\.bak", re.IGNORECASE)
"""Words that the path of a dump contains, if its suffix does not show that it is one."""

_LAST = 14
"""In this many copies, drd looks which paths the other tool usually copies."""

_MOST_HOSTS, _LONGEST = 10, 64
"""The hosts that a message names, and the letters of a name in it."""

_ALL = 1 << 30
"""The largest total size in bytes of the files that drd fetches to examine them."""


class FoundFile(NamedTuple):
    """A database in a copy: its kind, by its content, else by its name; `dump` is what was found in
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
    """What drd has found in the newest copy of the usual `paths`: when and on which host it was
    made, the `databases` in it, and by path a sample of its `others`, which are other files.
    `other_paths` are the paths of other copies of the host. `cut_off` says, by path, why a dump is
    incomplete, `unnamed` why no component of a plan can name a dump. `astray` are entries that the
    paths of the copy do not cover: restic stored them under a relative path. `other_tags` are tags
    that only copies of other paths have."""

    host: str
    made_at: datetime
    paths: tuple[str, ...]
    copies: int
    other_paths: Sequence[str] = ()
    databases: list[FoundFile] = field(default_factory=list)
    others: dict[str, Sample] = field(default_factory=dict)
    cut_off: dict[str, str] = field(default_factory=dict)
    unnamed: dict[str, str] = field(default_factory=dict)
    astray: Sequence[str] = ()
    other_tags: Sequence[str] = ()


def survey(repository: ResticRepository, host: str | None, tag: str | None = None) -> Survey:
    """Examine the newest copy of the usual paths, of this host and with this tag. Raises
    NoRestorePoint, RepositoryError, and UsageError if there are copies of several hosts and none
    was chosen."""
    repository.runner.only_reads = True
    listing = repository.snapshots(fresh=True)
    every = [s for s in listing if not is_drds(s)]
    copies = [s for s in every if host in (None, s.host) and (tag is None or tag in s.tags)]
    if not copies:
        raise NoRestorePoint(
            f"the repository at {repository.url} does not contain a copy"
            + (f" of host {host}" if host else "")
            + (f" with tag {tag}" if tag else ""),
            hint=f"hosts of the copies in this repository: {_hosts(every) or 'none'}"
            + (f"; tags: {_tags(every) or 'none'}." if tag else "."),
        )
    if len({s.host for s in copies}) > 1:
        raise UsageError(
            f"the repository at {repository.url} has copies of several hosts: {_hosts(copies)}",
            hint="choose one: --host NAME. Write one plan for each host.",
        )
    newest = _usual(copies)
    same = [s for s in copies if s.paths == newest.paths]
    others = [s for s in copies if s.paths != newest.paths]
    seen_copies = Survey(
        newest.host,
        newest.time,
        newest.paths,
        len(same),
        sorted({", ".join(s.paths) for s in others}),
        other_tags=sorted({t for s in others for t in s.tags} - set(newest.tags)),
    )
    entries = _Entries(newest.paths)
    done = repository.runner.run(["ls", "--json", *ids([newest.id])], entries)
    judge(done, repository.url)
    if why := relative_roots(newest.paths, entries.tops):
        raise UsageError(f"drd cannot adopt the newest copy: {why}", hint=ABSOLUTE)
    seen_copies.astray = sorted(entries.astray)
    seen_copies.others = entries.others
    seen_copies.unnamed = dict.fromkeys(entries.beyond, _BEYOND)
    left = MOST_FOUND - len(entries.candidates)
    for number, (path, size) in enumerate(entries.scripts.items()):
        if number < left:
            entries.candidates[path] = size
        else:
            note(seen_copies.others, seen_copies.paths, path, size)
    with TemporaryDirectory(prefix="drd-", dir=room()) as place:
        _recognise_dumps(repository, newest.id, entries.candidates, seen_copies, Path(place))
    return seen_copies


def _usual(copies: Sequence[SnapshotInfo]) -> SnapshotInfo:
    """Return the newest copy of those paths that most of the last copies have: the newest of all
    may be one that somebody made by hand, or of another job of the host."""
    last = copies[-_LAST:]
    counts = Counter(copy.paths for copy in last)
    return max(enumerate(last), key=lambda row: (counts[row[1].paths], row[0]))[1]


def _hosts(copies: Sequence[SnapshotInfo]) -> str:
    """Return the hosts of copies in words, each with its newest copy: `db1 (2 copies, the newest
    from 2026-11-28 03:00 UTC)`."""
    counts = Counter(s.host for s in copies)
    newest = {s.host: s.time for s in copies}
    words = [
        f"{escaped(shortened(masked(host), _LONGEST)) or 'without a name'} "
        f"({counted(counts[host], 'copy', 'copies')}, the newest from {format_time(newest[host])})"
        for host in sorted(newest)
    ]
    return some(words, _MOST_HOSTS)


def _tags(copies: Sequence[SnapshotInfo]) -> str:
    tags = sorted({tag for copy in copies for tag in copy.tags})
    return some([escaped(shortened(masked(tag), _LONGEST)) for tag in tags], _MOST_HOSTS)


def _recognise_dumps(
    repository: ResticRepository,
    copy: str,
    candidates: Mapping[str, int],
    found: Survey,
    place: Path,
) -> None:
    """Fetch the files that may be dumps, and note what is in them. What is too large is judged by
    its name."""
    left = min(_ALL, shutil.disk_usage(place).free // 2)
    for path, size in candidates.items():
        examined = _Examined()
        if 0 < size <= min(left, LARGEST):
            left -= size
            file = place / PurePosixPath(path).name
            repository.save_file(copy, path, file, most=size)
            try:
                examined = _seen(file)
            finally:
                file.unlink()
        elif size and _SQL.search(path):
            examined = _Examined(
                why=f"a dump of {format_size(size)}, whose content drd did not read"
            )
        _sort(found, path, size, examined)


class _Examined(NamedTuple):
    """What a look into a file showed: what it is, or what no kind loads and what the other tool
    could do instead, and why it is cut off."""

    known: tuple[str, FoundDump] | None = None
    why: str = ""
    better: str = ""
    cut_off: str = ""


def _seen(file: Path) -> _Examined:
    with file.open("rb") as opened:
        cut = why_cut_off(opened, unpacks=True, seconds=LOOK_S)
    try:
        known = None if cut else recognised(file)
    except NotSupported as error:
        better = error.better if isinstance(error, NotLoaded) else ""
        return _Examined(why=error.message, better=better.rstrip("."))
    return _Examined(known, cut_off=cut)


def _sort(found: Survey, path: str, size: int, examined: _Examined) -> None:
    """Note a file that may be a dump where it belongs."""
    by_name, name = _kind_of(path), PurePosixPath(path).name
    if examined.cut_off:
        found.cut_off[path] = examined.cut_off
    is_dump = bool(examined.known or by_name or _is_kept(path, examined))
    if is_dump and is_dated(_below(found.paths, path)):
        found.unnamed[path] = _DATE
        note(found.others, found.paths, path, size)
    elif examined.known is not None and not examined.known[1].unpack:
        found.databases.append(FoundFile(path, *examined.known))
    elif by_name:
        found.databases.append(FoundFile(path, by_name))
    elif examined.cut_off:
        return
    elif is_dump:
        found.databases.append(FoundFile(path, *_kept(name, examined)))
    else:
        note(found.others, found.paths, path, size)


def _is_kept(path: str, examined: _Examined) -> bool:
    """Return whether a file is a dump or an archive that is one component, although no kind says
    that it is its own."""
    if examined.known is not None:
        return bool(_ARCHIVE.search(path))
    return bool(examined.why or (_SQL.search(path) and _packed(path)))


def _kept(name: str, examined: _Examined) -> tuple[str, FoundDump]:
    (spec,) = (spec for spec in KINDS if spec.keeps)
    if examined.known is not None:
        unpacks: UnpacksOf = resolve_name(spec.unpacks)
        return spec.name, unpacks(examined.known[1])
    keeps: KeepsOf = resolve_name(spec.keeps)
    what = examined.why or "a dump in a format that drd does not recognise"
    return spec.name, keeps(name, _packed(name), what, examined.better)


def _packed(path: str) -> str:
    return _PACKED.get(PurePosixPath(path).suffix.lower(), "")


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
        self.scripts: dict[str, int] = {}
        self.beyond: list[str] = []
        self.tops: set[str] = set()
        self.astray: set[str] = set()

    def on_line(self, line: str) -> None:
        try:
            node = json.loads(line)
            path, kind = str(node.get("path", "")), node.get("type")
            size = strict.count(node.get("size", 0), "size")
        except (ValueError, AttributeError):
            return
        self.done += 1
        top = f"/{path.strip('/').partition('/')[0]}"
        if path.startswith("/"):
            self.tops.add(top)
        if kind == "file" and _root(self._roots, path) is None:
            self.astray.add(top)
            return
        if kind != "file" or not path.startswith("/") or not path.isprintable():
            return
        if masked(path) != path:  # a plan must not show the password
            return
        is_sql, is_packed = bool(_SQL.search(path)), bool(_packed(path))
        known = _kind_of(path) or _DUMPED.search(path) or (is_sql and is_packed)
        if known and len(self.candidates) < MOST_FOUND:
            self.candidates[path] = size
        elif is_sql and not is_packed and len(self.scripts) < MOST_FOUND:
            self.scripts[path] = size  # most are no dumps: examined last
        else:
            note(self.others, self._roots, path, size)
            if is_sql and is_packed:
                self.beyond.append(path)


def _root(roots: Sequence[str], path: str) -> str | None:
    return next((r for r in roots if path == r or path.startswith(f"{r.rstrip('/')}/")), None)


def _below(roots: Sequence[str], path: str) -> str:
    """Return a path without that of the copy which it is in, but with its own name."""
    root = _root(roots, path) or ""
    return path[len(root) :].lstrip("/") or PurePosixPath(path).name


def note(others: dict[str, Sample], roots: Sequence[str], path: str, size: int) -> None:
    """Count a file for the path of the copy that contains it."""
    root = _root(roots, path)
    if root is None:
        return
    before = others.get(root, Sample(path, -1, 0))
    largest = max(before, Sample(path, size, 0), key=lambda sample: sample.bytes)
    others[root] = largest._replace(files=before.files + 1)
