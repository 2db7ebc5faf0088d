"""Where copies are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from drd.errors import DrdError, RepositoryError
from drd.model.finding import Finding
from drd.model.limits import UNLIMITED, Limits
from drd.model.snapshot import StoredSnapshot
from drd.ports.adopted import ReadToEnd
from drd.ports.common import OnProgress, no_progress
from drd.ports.sources import Entry, Payload


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot as the repository lists it. `original` is the id from which it was copied,
    `tree` the id of its directory, which is the same in every copy. `bytes` and `ended_at` are the
    size and the end, by the words of whoever stored it."""

    id: str
    time: datetime
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...] = ()
    original: str | None = None
    tree: str = ""
    bytes: int = 0
    ended_at: datetime | None = None


class Listing(list[SnapshotInfo]):
    """The readable snapshots, oldest first. `unreadable` has the other snapshots, by id, with the
    error. Code that deletes checks `unreadable` first (`listings.require_readable` in
    `drd.flows.repository`); other code ignores these. A selection from a Listing is a plain list.
    """

    def __init__(
        self, found: Iterable[SnapshotInfo] = (), unreadable: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(found)
        self.unreadable: Mapping[str, str] = dict(unreadable or {})


@dataclass(frozen=True, slots=True)
class RepositoryKey:
    """A key of a repository. `current`: the password in use has opened this key."""

    id: str
    current: bool
    made_by: str
    made_at: str


class LockInfo(NamedTuple):
    """A lock in a repository: its name, who made it, and when it was last refreshed. A working
    restic makes a new one every five minutes, with the same `pid`."""

    name: str
    host: str
    pid: int
    at: datetime


class Pruned(NamedTuple):
    """restic's summary in one sentence, and how many bytes were removed."""

    summary: str
    removed_bytes: int


class Torn(NamedTuple):
    """A file that changed while it was backed up: `noted` is the length in bytes that the snapshot
    states, `stored` the smaller length that it contains."""

    path: str
    stored: int
    noted: int


class Fetched(NamedTuple):
    """What a restore wrote: the number of bytes, the files that were cut to the stored length, and
    the device nodes that only root can make, and that the user of this restore left out."""

    bytes: int
    torn: tuple[Torn, ...] = ()
    devices: tuple[str, ...] = ()


class EarlierIncomplete(RepositoryError):
    """A snapshot could not take over files of an earlier one, because the repository lacks some of
    their data. Nothing was stored."""


class Serving(Protocol):
    """A program that serves files of a repository to a mount."""

    def why_ended(self, within_s: float = 0.0) -> DrdError | None:
        """Return why it has ended; None while it serves. After a file could not be read, wait so
        long for the end of a program that is about to end: the kernel cuts its mount off first."""

    def close(self) -> None:
        """End it. Idempotent."""


class Repository(Protocol):
    """A place where copies are kept. All calls have deadlines and raise RepositoryError's children.
    `made_by` is the other tool that fills it; empty if drd itself does. `opened_with`:
    `RepositorySpec.opened_with`, with `drd.secrets.LATER` at its end if the running service has
    other texts of these secrets."""

    url: str
    name: str
    made_by: str
    opened_with: str

    def preflight(self, *, writing: bool = True) -> None:
        """Check within a few seconds that the endpoint answers, the bucket or directory exists, and
        the key is accepted.

        Without `writing`, a repository that can only be read passes. A missing prefix or an empty
        directory passes, too (`identity` reports it). Raises RepositoryUnreachable,
        RepositoryMissing (bucket) or RepositoryError with the remedy.
        """

    def probe(self) -> str | None:
        """Return a text that differs between any two repositories, by one cheap request and without
        the password; None when there is no repository at the URL.

        Raises RepositoryMissing when the bucket or directory is gone, RepositoryUnreachable when
        the server does not answer, RepositoryError when the request is refused.
        """

    def identity(self) -> str | None:
        """Return the id of the repository; None when there is no repository at the URL yet.

        Raises WrongKey when the password does not open it.
        """

    def opens(self) -> bool:
        """Return whether the password opens the repository. Raises RepositoryError's children when
        that cannot be found out."""

    def list_keys(self) -> list[RepositoryKey]:
        """Return every key that opens the repository."""

    def add_key(self, password: str) -> None:
        """Add a password that opens the repository."""

    def remove_key(self, key: str) -> None:
        """Remove a key by its id. Raises RepositoryError for the key of the password in use."""

    def clock_ahead_s(self) -> float | None:
        """By how many seconds this host's clock is ahead of the clock that dates stored files: the
        clock of the server, or of the file system. None when it cannot be measured."""

    def free_bytes(self) -> int | None:
        """Return how many bytes drd could still store there; None where the place does not report
        it: a bucket has no end."""

    def reaching(self, before: datetime) -> SnapshotInfo | None:
        """Return the manifest of a state that contains all the log of a server up to this time, and
        more, so that a restore can stop exactly at this time; None if there is no such log."""

    def read_to_end(self, snapshot: str, seconds: float, on_progress: OnProgress) -> ReadToEnd:
        """Read the packed dump of a component to its end, for at most `seconds`, and store nothing
        of it. Only dumps of another tool have to be read: a backup of drd's own is whole."""

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        """Return the snapshots among these that are not stored any more. Cheap: asks the bucket or
        directory, not restic."""

    def cold(self, cache: Path) -> Repository:
        """Return this repository as a host sees it that has never used it: nothing is read from the
        cache of an earlier call. The new cache is below `cache`."""

    def initialise(self, *, chunker_from: Repository | None = None) -> str:
        """Make a new repository, or find the repository that another host has just made; return its
        id. The caller has the lock, and knows that no id was ever recorded for this URL."""

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
        """Store the payload as one snapshot, within `limits`. A Stream goes through the gate: a
        producer that fails leaves no snapshot.

        Raises DumpFailed with the last output of the producer; SnapshotIncomplete when files could
        not be read (the snapshot exists); ImplausibleDump when a stream was empty;
        EarlierIncomplete when files of `Tree.earlier` cannot be taken over.
        """

    def store_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
    ) -> StoredSnapshot:
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
        """Copy snapshots of `source`, by their ids there and in this order. A copy has a new id,
        everything else is equal, and `original` names the very first snapshot. Snapshots that this
        repository already contains are skipped. After a kill at any moment, the same call completes
        the copy.

        Raises RepositoryDamaged when the source cannot be read, PointGone when it lacks one of the
        snapshots; the others may have been copied. List this repository afterwards.
        """

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> Listing:
        """Snapshots that have all `tags`, oldest first. `fresh` bypasses the local cache.
        `unreadable` names every snapshot that cannot be read, independent of its tags."""

    def removal(self, snapshot: str) -> str:
        """How a person removes the object of a snapshot that cannot be read."""

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
        """Write a snapshot below `into`, which exists and is empty, within `limits`. A restore of
        a few seconds is `brief`: it works without a lock. With `sparse`, long runs of zeros become
        holes, which take no room.

        On any error `into` is empty again. RepositoryDamaged names what could not be read.
        PointGone: the snapshot is not in the repository. TargetUnwritable: `into` cannot take the
        data.
        """

    def changed(self, snapshot: str, directory: str) -> Mapping[str, datetime]:
        """Return, by path, when the entries of a directory of the snapshot were last changed;
        entries whose names are not UTF-8 are left out."""

    def entries(self, snapshot: str, directory: str, take: Callable[[Entry], None]) -> None:
        """Call `take` for each entry below a directory of the snapshot, directories before what is
        in them; names that are not UTF-8 are changed."""

    def mount(
        self,
        into: Path,
        *,
        host: str,
        tags: Sequence[Sequence[str]],
        on_ready: Callable[[], None],
    ) -> None:
        """Show the snapshots that have all the tags of one of `tags` below the empty directory
        `into`, each as a directory that is named by the first 8 digits of its id, until the process
        is cancelled or somebody unmounts it. Calls `on_ready` when they are there. Afterwards
        nothing is mounted. Raises ToolMissing and TargetError with the remedy."""

    def serve(
        self, served: int, room: Path, *, host: str, tags: Sequence[Sequence[str]]
    ) -> Serving:
        """Begin to serve the snapshots that have all the tags of one of `tags` to a mount whose
        descriptor is `served`, each as a directory that is named by the first 8 digits of its id.
        All files belong to root. Uses the private directory `room` for what it needs meanwhile. The
        caller closes what is returned. Raises NotSupported where nothing can be served."""

    def read_file(self, snapshot: str, filename: str) -> bytes:
        """Return one small file of a snapshot, complete. Raises RepositoryDamaged, and PointGone
        when the snapshot is not in the repository."""

    def save_file(self, snapshot: str, filename: str, into: Path, *, most: int) -> None:
        """Like `read_file`, but writes to the new file `into`, which does not exist after an error.
        Raises RepositoryError for a file of more than `most` bytes."""

    def lock_holders(self) -> list[LockInfo]:
        """Return the locks in the repository, with who made them."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """Forget snapshots by id. The caller lists them again afterwards: an append-only server
        refuses silently."""

    def prune(
        self, *, max_repack_bytes: int | None = None, deadline_s: float | None = None
    ) -> Pruned:
        """Remove data to which no snapshot refers."""

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        """Verify the structure, and read the data of `read_subset` (restic's --read-data-subset).

        Blocks no other process, unless something looks damaged. Raises RepositoryDamaged with its
        `parts` and `trees`, and DeadlineExceeded.
        """

    def snapshots_with(
        self, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float = 120.0
    ) -> frozenset[str]:
        """Return the snapshots that need one of these files or directories, and the snapshots that
        turn out to lack something else."""

    def remove_stale_locks(self) -> int:
        """Remove the locks whose owner is provably dead, and return their number."""

    def size_bytes(self) -> int:
        """Return the size of the repository as stored (raw data)."""

    def tools(self) -> Mapping[str, str]:
        """Return the versions, by name, of the programs that are needed here to reach the
        repository. Raises ToolError."""

    def doctor(self, *, source: Repository | None = None) -> list[Finding]:
        """Try restic, endpoint, bucket, key, locks and the claimed protection, and report each;
        with the `source` of a copy, also what copying from there needs."""
