"""Where copies are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from drd.model.finding import Finding
from drd.model.snapshot import Stored
from drd.ports.common import OnProgress, no_progress
from drd.ports.sources import Payload


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot as the repository lists it. `original` is the id that it was copied from, `tree`
    that of the directory which it holds: the same wherever it was copied to."""

    id: str
    time: datetime
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...] = ()
    original: str | None = None
    tree: str = ""


class Listing(list[SnapshotInfo]):
    """The snapshots that can be read, oldest first. `unreadable` has the others: by id, what is
    wrong with it. Code that deletes checks that first (`listings.require_readable` in
    `drd.flows.repository`); other code goes on without them. A selection from it is a plain list.
    """

    def __init__(
        self, found: Iterable[SnapshotInfo] = (), unreadable: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(found)
        self.unreadable: Mapping[str, str] = dict(unreadable or {})


@dataclass(frozen=True, slots=True)
class RepositoryKey:
    """One of the keys of a repository. `current` is the one that the password in use has opened."""

    id: str
    current: bool
    made_by: str
    made_at: str


class LockInfo(NamedTuple):
    """A lock in a repository: its name, who made it, and when that was refreshed last. A restic
    that works makes a new one every five minutes, with the same `pid`."""

    name: str
    host: str
    pid: int
    at: datetime


class Pruned(NamedTuple):
    """restic's summary in one sentence, and how many bytes went."""

    summary: str
    removed_bytes: int


class Torn(NamedTuple):
    """A file that changed while it was backed up: `noted` is the length in bytes that the snapshot
    gives, `stored` the smaller length that it holds."""

    path: str
    stored: int
    noted: int


class Fetched(NamedTuple):
    """What a restore wrote: the number of bytes, and the files that were cut to what is stored of
    them."""

    bytes: int
    torn: tuple[Torn, ...] = ()


class Repository(Protocol):
    """Where copies are kept. All calls have deadlines and raise RepositoryError's children."""

    url: str
    name: str

    def preflight(self, *, writing: bool = True) -> None:
        """A few seconds: the endpoint answers, the bucket or directory exists, the key is accepted.

        Without `writing` a repository that may only be read is fine. A missing prefix or an empty
        directory is fine here (`identity` tells). Raises RepositoryUnreachable, RepositoryMissing
        (bucket) or RepositoryError with the remedy.
        """

    def probe(self) -> str | None:
        """By one cheap request, without the password, a text that is another one for every other
        repository; None when there is no repository at the URL.

        Raises RepositoryMissing when even the place for it is gone, RepositoryUnreachable when
        nobody answers, RepositoryError when it is refused.
        """

    def identity(self) -> str | None:
        """The repository's id, or None when there is no repository at the URL yet.

        Raises WrongKey when the password does not open it.
        """

    def opens(self) -> bool:
        """Whether the password opens the repository. Raises RepositoryError's children for all else
        that keeps from knowing it."""

    def list_keys(self) -> list[RepositoryKey]:
        """Every key that opens the repository."""

    def add_key(self, password: str) -> None:
        """Let another password open the repository as well."""

    def remove_key(self, key: str) -> None:
        """Remove a key by its id. Raises RepositoryError for the one that the password in use
        opens."""

    def clock_ahead_s(self) -> float | None:
        """By how many seconds this host's clock is ahead of the one that dates what is stored here:
        the server's, or the file system's. None where that does not tell."""

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        """Those of the snapshots that are not stored here any more. Cheap: asks the place, not
        restic."""

    def cold(self, cache: Path) -> Repository:
        """The same repository as a host sees it that never had to do with it: nothing is answered
        from what an earlier call kept here. What is kept now goes below `cache`."""

    def initialise(self, *, chunker_from: Repository | None = None) -> str:
        """Make a new repository, or find the one that another host has just made; return its id.
        The caller holds the lock and knows that none was ever recorded for this URL."""

    def store(
        self,
        payload: Payload,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Stored:
        """Store as one snapshot. For a Stream through the gate: no snapshot of a failed producer.

        Raises DumpFailed with the producer's last words; SnapshotIncomplete when files could not
        be read (the snapshot exists); ImplausibleDump when a stream was empty.
        """

    def store_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
    ) -> Stored:
        """Store a small text as one snapshot, never as plaintext on a disk."""

    def copy_from(
        self,
        source: Repository,
        snapshots: Sequence[str],
        *,
        expected_bytes: int | None = None,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> None:
        """Copy snapshots of `source`, by their ids there and in this order. A copy has an id of its
        own, everything else is the same, and `original` names the first of all; what is here
        already is left. Killed at any moment, the same call goes on.

        Raises RepositoryDamaged when the source cannot be read, PointGone when it does not hold one
        of them; the others may have been copied. List afterwards what is here.
        """

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> Listing:
        """Oldest first; snapshots that carry all `tags`. `fresh` bypasses the local cache. What
        cannot be read is named in `unreadable`, whatever it may be of."""

    def removal(self, snapshot: str) -> str:
        """How a person removes the object of a snapshot that cannot be read."""

    def restore(
        self,
        snapshot: str,
        into: Path,
        *,
        include: Sequence[str] = (),
        brief: bool = False,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Fetched:
        """Write a snapshot below `into`, which is there and empty. One that takes seconds is
        `brief`: nothing is kept from going on beside it.

        On any error `into` is empty again. RepositoryDamaged says what could not be read, PointGone
        that the snapshot is not there,
        TargetUnwritable that `into` cannot hold it.
        """

    def read_file(self, snapshot: str, filename: str) -> bytes:
        """One small file of a snapshot, whole, or RepositoryDamaged; PointGone when the snapshot is
        not there."""

    def save_file(self, snapshot: str, filename: str, into: Path, *, most: int) -> None:
        """Like `read_file`, as the new file `into`, which is not there after an error. One of more
        than `most` bytes is a RepositoryError."""

    def lock_holders(self) -> list[LockInfo]:
        """The locks that are there, with who made them."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """Forget by id; the caller re-lists afterwards (an append-only server refuses silently)."""

    def prune(
        self, *, max_repack_bytes: int | None = None, deadline_s: float | None = None
    ) -> Pruned:
        """Remove unreferenced data."""

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        """Verify the structure, and read the data of `read_subset` (restic's --read-data-subset).

        Keeps nobody waiting, unless something looks damaged. Raises RepositoryDamaged with its
        `parts` and `trees`, and DeadlineExceeded.
        """

    def snapshots_with(
        self, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float = 120.0
    ) -> frozenset[str]:
        """The snapshots that need one of these, or that turn out to lack something else."""

    def remove_stale_locks(self) -> int:
        """Remove locks whose owner is provably dead; returns how many went. Live ones stay."""

    def size_bytes(self) -> int:
        """What the repository takes, as stored (raw data)."""

    def tools(self) -> Mapping[str, str]:
        """The programs that reach it from here: versions by name. Raises ToolError."""

    def doctor(self, *, source: Repository | None = None) -> list[Finding]:
        """restic, endpoint, bucket, key, locks and claimed protection, tried and named; with the
        `source` of a copy, also what it takes to copy from there."""
