"""Implement the port `Repository` with restic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from drd import secrets
from drd.errors import WrongKey
from drd.model.limits import UNLIMITED, Limits
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.snapshot import StoredSnapshot
from drd.ports import (
    Entry,
    Fetched,
    Finding,
    Listing,
    LockInfo,
    OnProgress,
    Payload,
    Pruned,
    Repository,
    RepositoryKey,
    SnapshotInfo,
    Stream,
    no_progress,
)
from drd.ports.adopted import ReadToEnd
from drd.repositories.restic import (
    browsing,
    checking,
    copying,
    earlier,
    keys,
    locks,
    maintenance,
    restore,
    serving,
    store,
)
from drd.repositories.restic.doctor import doctor
from drd.repositories.restic.payload import backup_words
from drd.repositories.restic.runner import ANSWER_S, ResticRunner
from drd.repositories.restic.session import Session


class ResticRepository:
    """`drd.ports.Repository` on restic, for S3 and local directories.

    Creating the object contacts nothing and reads no secret. Safe in several threads. Callers may
    tune `runner`: how long it waits for an endpoint that is gone, and for a lock.
    """

    made_by = ""

    def __init__(
        self,
        spec: RepositorySpec,
        *,
        cache_dir: Path,
        resolve: Callable[[SecretRef], str],
        restic: str | None = None,
    ) -> None:
        self.url = spec.url
        self.name = spec.name
        self.opened_with = secrets.opened_with(spec)
        self.runner = ResticRunner(
            Session(spec, cache_dir=cache_dir, resolve=resolve, program=restic)
        )
        self._cold = partial(ResticRepository, spec, resolve=resolve, restic=restic)

    def cold(self, cache: Path) -> ResticRepository:
        cold = self._cold(cache_dir=cache)
        cold.runner.session.lasting = False
        cold.runner.session.hint.take(self.runner.session.hint)
        return cold

    def preflight(self, *, writing: bool = True) -> None:
        self.runner.session.place.preflight(writing=writing)

    def probe(self) -> str | None:
        return self.runner.session.place.probe()

    def identity(self) -> str | None:
        try:
            return maintenance.identity(self.runner)
        except WrongKey as error:
            error.changed = secrets.changed_at(self.runner.session.spec.password)
            raise

    def opens(self) -> bool:
        return keys.opens(self.runner)

    def list_keys(self) -> list[RepositoryKey]:
        return keys.keys(self.runner)

    def add_key(self, password: str) -> None:
        keys.add(self.runner, password)

    def remove_key(self, key: str) -> None:
        keys.remove(self.runner, key)

    def clock_ahead_s(self) -> float | None:
        return self.runner.session.place.clock_ahead_s()

    def free_bytes(self) -> int | None:
        return self.runner.session.place.free_bytes()

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        return self.runner.session.place.missing(snapshots)

    def reaching(self, before: datetime) -> SnapshotInfo | None:  # noqa: ARG002 - no log
        return None

    def read_to_end(self, snapshot: str, seconds: float, on_progress: OnProgress) -> ReadToEnd:  # noqa: ARG002
        return ReadToEnd("whole")

    def lock_holders(self) -> list[LockInfo]:
        return locks.lock_holders(self.runner)

    def initialise(self, *, chunker_from: Repository | None = None) -> str:
        return maintenance.initialise(self.runner, _door(chunker_from))

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
        words = backup_words(host, tags, time)
        marked = (tag.removeprefix("component:") for tag in tags if tag.startswith("component:"))
        subject = next(marked, host)
        if isinstance(payload, Stream):
            return store.store_stream(
                self.runner,
                payload,
                words,
                subject=subject,
                limits=limits,
                deadline_s=deadline_s,
                on_progress=on_progress,
            )
        return store.store_tree(
            self.runner,
            payload,
            words,
            subject=subject,
            limits=limits,
            deadline_s=deadline_s,
            on_progress=on_progress,
        )

    def store_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
    ) -> StoredSnapshot:
        return store.store_bytes(self.runner, data, filename, host=host, tags=tags, time=time)

    def copy_from(
        self,
        source: Repository,
        snapshots: Sequence[str],
        *,
        expected_bytes: int | None = None,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> None:
        other = _door(source)
        if other is None:
            raise TypeError(f"restic cannot copy from {type(source).__name__}")
        copying.copy_from(
            self.runner,
            other,
            snapshots,
            subject=self.name,
            expected_bytes=expected_bytes,
            deadline_s=deadline_s,
            on_progress=on_progress,
        )

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> Listing:
        return maintenance.snapshots(self.runner, host=host, tags=tags, fresh=fresh)

    def removal(self, snapshot: str) -> str:
        return self.runner.session.place.removal(f"snapshots/{snapshot}")

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
        return restore.restore(
            self.runner,
            snapshot,
            into,
            include=include,
            brief=brief,
            sparse=sparse,
            limits=limits,
            deadline_s=deadline_s,
            on_progress=on_progress,
        )

    def changed(self, snapshot: str, directory: str) -> Mapping[str, datetime]:
        return browsing.changed(self.runner, snapshot, directory)

    def entries(self, snapshot: str, directory: str, take: Callable[[Entry], None]) -> None:
        earlier.entries(self.runner, snapshot, directory, take)

    def mount(
        self,
        into: Path,
        *,
        host: str,
        tags: Sequence[Sequence[str]],
        on_ready: Callable[[], None],
    ) -> None:
        browsing.mount(self.runner, into, host=host, tags=tags, on_ready=on_ready)

    def serve(
        self, served: int, room: Path, *, host: str, tags: Sequence[Sequence[str]]
    ) -> serving.Served:
        return serving.serve(self.runner, served, room, host=host, tags=tags)

    def read_file(self, snapshot: str, filename: str) -> bytes:
        return restore.read_file(self.runner, snapshot, filename)

    def save_file(self, snapshot: str, filename: str, into: Path, *, most: int) -> None:
        restore.save_file(self.runner, snapshot, filename, into, most)

    def forget(self, snapshots: Sequence[str]) -> None:
        maintenance.forget(self.runner, snapshots)

    def prune(
        self, *, max_repack_bytes: int | None = None, deadline_s: float | None = None
    ) -> Pruned:
        return maintenance.prune(
            self.runner, max_repack_bytes=max_repack_bytes, deadline_s=deadline_s
        )

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        checking.check(self.runner, read_subset=read_subset, deadline_s=deadline_s)

    def snapshots_with(
        self, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float = ANSWER_S
    ) -> frozenset[str]:
        return checking.snapshots_with(self.runner, parts, trees, deadline_s=deadline_s)

    def remove_stale_locks(self) -> int:
        return self.runner.remove_stale_locks()

    def size_bytes(self) -> int:
        return maintenance.size_bytes(self.runner)

    def tools(self) -> Mapping[str, str]:
        return {"restic": self.runner.version()}

    def doctor(self, *, source: Repository | None = None) -> list[Finding]:
        return doctor(self.runner, _door(source))


def _door(repository: Repository | None) -> ResticRunner | None:
    return repository.runner if isinstance(repository, ResticRepository) else None
