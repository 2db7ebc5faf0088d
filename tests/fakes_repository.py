"""A repository in memory: what the flows' tests use, true to the same contract suite as restic."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from drd.errors import (
    DumpFailed,
    ImplausibleDump,
    NotSupported,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    SnapshotIncomplete,
    TargetNotEmpty,
)
from drd.model.limits import UNLIMITED, Limits
from drd.model.snapshot import StoredSnapshot
from drd.ports import (
    Entry,
    Fetched,
    Finding,
    Listing,
    LockInfo,
    OnProgress,
    Payload,
    Progress,
    Pruned,
    Repository,
    RepositoryKey,
    SnapshotInfo,
    Stream,
    Torn,
    Tree,
    no_progress,
)
from drd.ports.adopted import ReadToEnd
from drd.process import base_environment


@dataclass
class _Kept:
    info: SnapshotInfo
    files: dict[str, bytes | None] = field(default_factory=dict)  # None: a directory
    noted: Mapping[str, int] = field(default_factory=dict)


class MemoryRepository:
    """Keeps contents by absolute path; modes, owners and links are not its business."""

    made_by = ""
    opened_with = ""

    def __init__(self, name: str = "primary", url: str = "/memory/repository") -> None:
        self.name = name
        self.url = url
        self.id: str | None = None
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self.unreadable: dict[str, str] = {}
        self.ahead_s: float | None = 0.0
        self.free: int | None = None

    def preflight(self, *, writing: bool = True) -> None:
        """Memory is always there."""

    def clock_ahead_s(self) -> float | None:
        return self.ahead_s

    def free_bytes(self) -> int | None:
        return self.free

    def reaching(self, before: datetime) -> SnapshotInfo | None:  # memory has no log
        return None

    def read_to_end(self, snapshot: str, seconds: float, on_progress: OnProgress) -> ReadToEnd:
        return ReadToEnd("whole")

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        with self._lock:
            return [s for s in snapshots if s not in self._kept]

    def lock_holders(self) -> list[LockInfo]:
        return []

    def cold(self, cache: Path) -> Repository:  # memory keeps nothing elsewhere
        return self

    def probe(self) -> str | None:
        return self.identity()

    def identity(self) -> str | None:
        return self.id

    def opens(self) -> bool:  # memory needs no password
        return self.id is not None

    def list_keys(self) -> list[RepositoryKey]:
        return []

    def add_key(self, password: str) -> None:
        raise NotSupported("a repository in memory has no passwords")

    def remove_key(self, key: str) -> None:
        raise NotSupported("a repository in memory has no passwords")

    def initialise(self, *, chunker_from: Repository | None = None) -> str:
        self.id = secrets.token_hex(32)
        return self.id

    def store(
        self,
        payload: Payload,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
        limits: Limits = UNLIMITED,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> StoredSnapshot:
        self._opened()
        if isinstance(payload, Stream):
            data = _printed(payload)
            stored = self._keep({f"/{payload.filename}": data}, host, tags, time)
            on_progress(Progress(host, "backup", stored.bytes, stored.bytes))
            return stored
        files, unread = _read(payload)
        stored = self._keep(files, host, tags, time, paths=payload.paths)
        on_progress(Progress(host, "backup", stored.bytes, stored.bytes))
        if unread:
            raise SnapshotIncomplete(
                f"drd could not read {len(unread)} of the files: {', '.join(unread)}",
                snapshot=stored.snapshot,
                unread=unread,
            )
        return stored

    def store_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
    ) -> StoredSnapshot:
        self._opened()
        return self._keep({f"/{filename}": data}, host, tags, time)

    def copy_from(
        self,
        source: Repository,
        snapshots: Sequence[str],
        *,
        expected_bytes: int | None = None,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> None:
        self._opened()
        assert isinstance(source, MemoryRepository)
        source._opened()
        missing = []
        for snapshot in snapshots:
            kept = source._kept.get(snapshot)
            if kept is None:
                missing.append(snapshot)
                continue
            original = kept.info.original or kept.info.id
            if any(original in (k.info.id, k.info.original) for k in self._kept.values()):
                continue
            info = replace(kept.info, id=secrets.token_hex(32), original=original)
            with self._lock:
                self._kept[info.id] = _Kept(info, kept.files, kept.noted)
        if missing:
            raise PointGone(f"{len(missing)} snapshots are not in {source.url}")

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> Listing:
        self._opened()
        with self._lock:
            found = [
                kept.info
                for kept in self._kept.values()
                if host in (None, kept.info.host) and set(tags) <= set(kept.info.tags)
            ]
        return Listing(sorted(found, key=lambda s: s.time), self.unreadable)

    def removal(self, snapshot: str) -> str:
        return f"remove {snapshot} from memory"

    def restore(
        self,
        snapshot: str,
        into: Path,
        *,
        include: Sequence[str] = (),
        brief: bool = False,
        sparse: bool = False,
        limits: Limits = UNLIMITED,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Fetched:
        if any(into.iterdir()):
            raise TargetNotEmpty(f"{into} is not empty")
        wanted = {
            path: data
            for path, data in self._files(snapshot).items()
            if not include or any(path == i or path.startswith(f"{i}/") for i in include)
        }
        if not wanted:
            raise RepositoryDamaged("the snapshot does not contain any of the requested paths")
        for path, data in wanted.items():
            place = into / path.lstrip("/")
            if data is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        total = sum(len(data or b"") for data in wanted.values())
        on_progress(Progress(snapshot[:8], "fetch", total, total))
        noted = self._kept[snapshot].noted
        torn = (Torn(p, len(wanted[p] or b""), noted[p]) for p in wanted if p in noted)
        return Fetched(total, tuple(torn))

    def note(self, snapshot: str, lengths: Mapping[str, int]) -> str:
        """Another snapshot like that one, which notes these lengths of files that changed
        meanwhile."""
        kept = self._kept[snapshot]
        info = replace(kept.info, id=secrets.token_hex(32))
        with self._lock:
            self._kept[info.id] = _Kept(info, kept.files, lengths)
        return info.id

    def changed(self, snapshot: str, directory: str) -> Mapping[str, datetime]:
        self._files(snapshot)
        return {}  # modes and times are not its business

    def entries(self, snapshot: str, directory: str, take: Callable[[Entry], None]) -> None:
        for path, data in sorted(self._files(snapshot).items()):
            if path.startswith(f"{directory}/"):
                take(Entry(path, "file", len(data), 0, 0o600))

    def mount(
        self,
        into: Path,
        *,
        host: str,
        tags: Sequence[Sequence[str]],
        on_ready: Callable[[], None],
    ) -> None:
        raise NotSupported("a repository in memory cannot be mounted")

    def serve(
        self, served: int, room: Path, *, host: str, tags: Sequence[Sequence[str]]
    ) -> NoReturn:
        raise NotSupported("a repository in memory cannot be mounted")

    def read_file(self, snapshot: str, filename: str) -> bytes:
        data = self._files(snapshot).get("/" + filename.lstrip("/"))
        if data is None:
            raise RepositoryDamaged(f"{filename} is not in snapshot {snapshot[:8]}")
        return data

    def save_file(self, snapshot: str, filename: str, into: Path, *, most: int) -> None:
        data = self.read_file(snapshot, filename)
        if len(data) > most:
            raise RepositoryError(f"{filename} exceeds {most} bytes")
        into.write_bytes(data)

    def forget(self, snapshots: Sequence[str]) -> None:
        self._opened()
        with self._lock:
            for snapshot in snapshots:
                self._kept.pop(snapshot, None)

    def prune(
        self, *, max_repack_bytes: int | None = None, deadline_s: float | None = None
    ) -> Pruned:
        self._opened()
        return Pruned("removed nothing", 0)

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        self._opened()

    def snapshots_with(
        self, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float = 120.0
    ) -> frozenset[str]:
        self._opened()
        return frozenset()

    def remove_stale_locks(self) -> int:
        return 0

    def size_bytes(self) -> int:
        self._opened()
        with self._lock:
            return sum(len(d or b"") for kept in self._kept.values() for d in kept.files.values())

    def tools(self) -> Mapping[str, str]:
        return {"memory": "1"}

    def doctor(self, *, source: Repository | None = None) -> list[Finding]:
        return [Finding("repository-key", "ok", self.name, "in memory")]

    def _opened(self) -> None:
        if self.id is None:
            raise RepositoryMissing(f"there is no repository at {self.url}")

    def _files(self, snapshot: str) -> dict[str, bytes | None]:
        self._opened()
        with self._lock:
            if snapshot not in self._kept:
                raise PointGone(f"snapshot {snapshot[:8]} is not in the repository")
            return self._kept[snapshot].files

    def _keep(
        self,
        files: dict[str, bytes | None],
        host: str,
        tags: Sequence[str],
        time: datetime | None,
        *,
        paths: Sequence[str] = (),
    ) -> StoredSnapshot:
        at = time.replace(microsecond=0) if time else datetime.now(UTC)
        info = SnapshotInfo(
            secrets.token_hex(32), at, host, tuple(tags), tuple(paths or files), None
        )
        size = sum(len(data or b"") for data in files.values())
        with self._lock:
            self._kept[info.id] = _Kept(info, files)
        return StoredSnapshot(info.id, size, size, sum(data is not None for data in files.values()))


def _printed(stream: Stream) -> bytes:
    command = stream.command
    done = subprocess.run(
        list(command.argv),
        env=base_environment() | dict(command.env),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise DumpFailed(f"{command.title} exited with {done.returncode}: {words}", output=words)
    if not done.stdout:
        raise ImplausibleDump(
            f"{command.title} exited with 0 but printed nothing, so no snapshot was kept"
        )
    return done.stdout


def _read(tree: Tree) -> tuple[dict[str, bytes | None], list[str]]:
    files: dict[str, bytes | None] = {}
    unread: list[str] = []
    for root in (str(Path(tree.below) / path) for path in tree.paths):
        if not Path(root).exists():
            unread.append(root)
            continue
        for path in (Path(root), *Path(root).rglob("*")):
            if any(str(path) == e or str(path).startswith(f"{e}/") for e in tree.exclude):
                continue
            files[str(path)] = None if path.is_dir() else path.read_bytes()
    return files, unread
