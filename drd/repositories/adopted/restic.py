"""A restic repository whose copies another tool makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.errors import RepositoryError
from drd.model import strict
from drd.model.adopted import Adopted
from drd.model.finding import Finding
from drd.model.location import is_local
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.text import escaped, shortened, some
from drd.model.units import from_rfc3339
from drd.ports import OnProgress, Progress, SnapshotInfo
from drd.ports.adopted import (
    MOST_COPIES,
    ForeignCopies,
    ForeignCopy,
    FoundFile,
    Landing,
    NotInCopy,
    ReadToEnd,
)
from drd.ports.kinds import Holds
from drd.registry import KINDS
from drd.repositories.adopted import afar
from drd.repositories.adopted.manifest import wanted
from drd.repositories.adopted.running import keeping_room
from drd.repositories.adopted.stored_file import StoredFile
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.payload import ids

_MOST_MODE = 0o7777
_LONGEST = 120

ABSOLUTE = (
    "let the other tool back up the whole path (`restic backup /srv/dumps`, not `restic backup .`)."
    " drd does not use the copies that have only the relative path."
)


def open_tool(
    spec: RepositorySpec,
    adopted: Adopted,
    *,
    cache_dir: Path,
    resolve: Callable[[SecretRef], str],
    program: str | None,
) -> ResticCopies:
    """Implements `OpenTool`."""
    repository = ResticRepository(spec, cache_dir=cache_dir, resolve=resolve, restic=program)
    return ResticCopies(repository, adopted)


class ResticCopies:
    """Implements `ForeignTool`: each snapshot of the repository is a copy."""

    def __init__(self, repository: ResticRepository, adopted: Adopted) -> None:
        self._repository = repository
        self._runner = repository.runner
        self._runner.only_reads = True
        self._adopted = adopted
        self._only = dict(adopted.only)
        self._files = {
            path
            for component in adopted.components
            if KINDS[component.kind].holds is not Holds.PATHS
            for path in wanted(component)
        }

    def cold(self, cache: Path) -> ResticCopies:
        return ResticCopies(self._repository.cold(cache), self._adopted)

    def preflight(self) -> None:
        self._repository.preflight(writing=False)

    def probe(self) -> str | None:
        return self._repository.probe()

    def identity(self) -> str | None:
        return self._repository.identity()

    def copies(self) -> ForeignCopies:
        listing = self._repository.snapshots(fresh=True)
        chosen = [s for s in listing if self._is_chosen(s)]
        ours = [_copy(s) for s in chosen if self._may_hold_all(s)]
        refused = dict(listing.unreadable)
        if chosen and not ours and (why := self._elsewhere(_copy(chosen[-1]))):
            refused[chosen[-1].id[:8]] = f"{why}. {ABSOLUTE.rstrip('.')}"
        return ForeignCopies(ours[-MOST_COPIES:], refused, max(0, len(ours) - MOST_COPIES))

    def _is_chosen(self, snapshot: SnapshotInfo) -> bool:
        """Return whether the plan's `only` fits. What drd itself stored is no copy of another
        tool."""
        if is_drds(snapshot):
            return False
        host, tag = self._only.get("host"), self._only.get("tag")
        return (not host or snapshot.host == host) and (not tag or tag in snapshot.tags)

    def _may_hold_all(self, snapshot: SnapshotInfo) -> bool:
        """Return whether it may hold all components: a repository holds copies of other services
        too."""
        paths = [path for c in self._adopted.components for path in wanted(c)]
        return all(_may_hold(snapshot.paths, path) for path in paths)

    def _elsewhere(self, copy: ForeignCopy) -> str:
        """Return that the copy does not have its files where it says they were, as restic stores
        those of a relative path; empty if it has."""
        tops = {
            path
            for line in self._runner.capture(["ls", "--json", *ids([copy.id]), "/"])[0].splitlines()
            if (path := _path(line))
        }
        return relative_roots(copy.paths, tops)

    def find(self, copy: ForeignCopy, path: str) -> FoundFile | None:
        words = ["ls", "--json", *ids([copy.id]), path]
        printed = self._runner.capture(words)[0]
        nodes = iter(printed.splitlines())
        entry_of_file = next((entry for line in nodes if (entry := _entry(line, path))), None)
        if entry_of_file is None:
            if why := self._elsewhere(copy):
                raise NotInCopy(why, hint=ABSOLUTE)
            return None
        if entry_of_file.is_directory:
            return entry_of_file._replace(is_empty=not any(nodes))
        if entry_of_file.leads_to is not None:
            return entry_of_file._replace(leads_to=str(self._told(copy, path, "linktarget")))
        if entry_of_file.is_file and entry_of_file.bytes and path in self._files:
            return afar.looked(self._stored(copy, path, entry_of_file.bytes)).found(entry_of_file)
        return entry_of_file

    def _stored(self, copy: ForeignCopy, path: str, size: int) -> StoredFile:
        return StoredFile(path, size, copy.id, self._told(copy, path, "content"), self._runner)

    def read_to_end(
        self, copy: ForeignCopy, path: str, seconds: float, on_progress: OnProgress
    ) -> ReadToEnd:
        printed = self._runner.capture(["ls", "--json", *ids([copy.id]), path])[0]
        found = next((e for line in printed.splitlines() if (e := _entry(line, path))), None)
        if found is None or not found.is_file:
            raise RepositoryError(f"restic no longer lists {escaped(path)} in copy {copy.name[:8]}")
        most = self._adopted.read_up_to
        if found.bytes > most and not is_local(self._repository.url):
            return afar.too_large(most)
        return afar.read_to_end(self._stored(copy, path, found.bytes), seconds, on_progress)

    def _told(self, copy: ForeignCopy, path: str, key: str) -> Any:
        """Return a value that the listing does not have of a file."""
        above, _, name = path.rpartition("/")
        *words, known = ["cat", "tree", *ids([copy.id])]
        printed = self._runner.capture([*words, f"{known}:{above or '/'}"])[0]
        try:
            nodes = json.loads(printed)["nodes"]
            return next(n[key] for n in nodes if n["name"] == name)
        except (ValueError, TypeError, KeyError, StopIteration) as error:
            raise RepositoryError(
                f"drd cannot read `{key}` of {escaped(path)} in a copy of restic"
            ) from error

    def fetch(
        self,
        copy: ForeignCopy,
        what: Landing,
        into: Path,
        *,
        deadline_s: float | None,
        on_progress: OnProgress,
    ) -> int:
        if what.file:
            self._repository.save_file(copy.id, what.file, into / what.called, most=what.bytes)
            return what.bytes
        room = keeping_room(into, f"the restore of copy {copy.id[:8]}")

        def tell(progress: Progress) -> None:
            room()
            on_progress(progress)

        done = self._repository.restore(
            copy.id, into, include=what.paths, deadline_s=deadline_s, on_progress=tell
        )
        return done.bytes

    def check(self, read_subset: str | None, deadline_s: float | None) -> None:
        self._repository.check(read_subset=read_subset, deadline_s=deadline_s)

    def size_bytes(self) -> int:
        return self._repository.size_bytes()

    def versions(self) -> Mapping[str, str]:
        return self._repository.tools()

    def doctor(self) -> list[Finding]:
        return self._repository.doctor()


def is_drds(snapshot: SnapshotInfo) -> bool:
    """Return whether drd itself stored a snapshot. A tag `drd` alone, or `plan:NAME` alone, which
    Backrest gives, may be another tool's."""
    return "drd" in snapshot.tags and any(tag.startswith("plan:") for tag in snapshot.tags)


def relative_roots(roots: Sequence[str], there: Collection[str]) -> str:
    """Return a sentence if a copy of these paths does not contain any of them; `there` is what it
    contains at its top. restic notes whole paths, but stores a relative path as it was written.
    Empty if the copy contains one of the paths."""
    tops = {f"/{root.strip('/').partition('/')[0]}" for root in roots if root.startswith("/")}
    if not there or not tops or "/" in tops or tops & set(there):
        return ""
    has = some([escaped(shortened(path, _LONGEST)) for path in sorted(there)])
    of = some([escaped(shortened(root, _LONGEST)) for root in roots])
    return f"restic was called with a relative path: the copy is of {of}, but has {has} instead"


def _path(line: bytes) -> str:
    """Return the path in a line of `restic ls`; empty if it has none."""
    try:
        node = json.loads(line)
        return str(node["path"]) if node.get("struct_type") == "node" else ""
    except (ValueError, TypeError, AttributeError, KeyError):
        return ""


def _may_hold(roots: tuple[str, ...], path: str) -> bool:
    """Return whether a snapshot of these roots may hold the path, or something below it."""
    return any(
        root in ("/", path)
        or path.startswith(f"{root.rstrip('/')}/")
        or root.startswith(f"{path.rstrip('/')}/")
        for root in roots
    )


def _copy(snapshot: SnapshotInfo) -> ForeignCopy:
    ended_at = snapshot.ended_at or snapshot.time
    return ForeignCopy(
        id=snapshot.id,
        name=snapshot.id,
        data_time=snapshot.time,
        ended_at=max(ended_at, snapshot.time),
        bytes=snapshot.bytes,
        paths=snapshot.paths,
    )


def _entry(line: bytes, path: str) -> FoundFile | None:
    """Read a line of `restic ls`; None if it is about something else. Raises RepositoryError."""
    try:
        node = json.loads(line)
        if node.get("struct_type") != "node" or node.get("path") != path:
            return None
        kind, size = node.get("type"), strict.count(node.get("size", 0), "size")
        return FoundFile(
            is_file=kind == "file",
            bytes=size,
            changed_at=_time(node.get("mtime")),
            mode=int(node.get("mode", 0)) & _MOST_MODE,
            uid=strict.count(node.get("uid", 0), "uid", most=(1 << 32) - 1),
            gid=strict.count(node.get("gid", 0), "gid", most=(1 << 32) - 1),
            is_directory=kind == "dir",
            is_empty=kind == "file" and size == 0,
            leads_to="" if kind == "symlink" else None,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise RepositoryError(
            f"drd cannot read what restic ls prints about {escaped(path)}: {error}",
            hint="to see what restic prints, run restic 0.17 or newer by hand: restic ls "
            "--json SNAPSHOT PATH",
        ) from error


def _time(text: object) -> datetime | None:
    try:
        return from_rfc3339(str(text))
    except ValueError:
        return None
