"""The place of a repository as a repository needs it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from drd.errors import RepositoryDamaged
from drd.ports import Finding

Kept = Literal["keys", "index", "locks"]

MOST_OBJECTS = 200_000
"""The largest number of names that drd reads of one directory."""
NO_SPACE = (
    "free space on the disk of the repository, or enlarge this disk; drd prune needs a little "
    "free space, too. Earlier snapshots stay valid."
)
"""The remedy for a full disk of a repository."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object. `written` is when it was written, in seconds of the clock of the place; 0 when
    the place does not report it. Somebody who writes an object cannot choose this time, but can
    write the object again.
    """

    size: int
    written: float


class RepositoryPlace(Protocol):
    """A bucket or a directory that is read without restic, in milliseconds and without a key; or
    what only restic reaches (`restic.remote_place`).
    """

    url: str
    by_file: bool
    """Whether drd itself reads, writes and removes single files there."""

    def preflight(self, *, writing: bool = True) -> None:
        """Check that the place answers, exists and may be used; takes a few seconds at most.
        Without `writing`, a repository that may only be read is enough; a bucket does not report
        this.

        Raises RepositoryUnreachable, RepositoryMissing or RepositoryError with the remedy.
        """

    def probe(self) -> str | None:
        """Return the digest of the repository's `config`, which is written once and never changed,
        read with one request; None if there is no config. Raises RepositoryMissing for a place that
        is gone, RepositoryUnreachable, RepositoryError.
        """

    def try_to_make(self) -> bool:
        """Find out whether a repository could be made here, without making it. Return whether the
        place tells this. Raises RepositoryReadOnly if none can be made."""

    def read_only(self) -> bool:
        """Return whether drd knows that nothing can be written to the place."""

    def clock_ahead_s(self) -> float | None:
        """Return the number of seconds by which this host's clock is ahead of the clock of the
        place; None when the place does not report its time. Leaves no files behind.
        """

    def free_bytes(self) -> int | None:
        """Return the free bytes at this place; None if the place does not report them."""

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        """Return the snapshots of restic whose files are missing."""

    def lock_files(self) -> Mapping[str, float]:
        """Return the files where restic keeps its locks, with their age in seconds. Empty without a
        repository.
        """

    def locks(self) -> frozenset[str]:
        """The names of restic's locks among the lock files."""

    def objects(self, below: Kept) -> Mapping[str, StoredObject]:
        """Return the objects whose names have restic's form; if there are very many, only the first
        ones. Empty if there is no repository.
        """

    def read(self, name: str, most: int) -> bytes | None:
        """The first `most` bytes of an object, by its name below the repository; None if it does
        not exist.
        """

    def unfinished_keys(self) -> list[str]:
        """Key files of a repository that has no config. A killed `init` leaves them, and every
        later `init` fails on them.

        Raises RepositoryDamaged when there is data as well: then it was a repository once.
        """

    def put_mark(self, name: str) -> None:
        """Write an empty file beside restic's locks, which restic ignores; make the directory if it
        is missing.
        """

    def remove(self, below: Literal["keys", "locks"], names: Iterable[str]) -> None:
        """Remove files by name; ignore files that are gone already."""

    def removal(self, name: str) -> str:
        """Return the command with which a person removes an object, by its name below the
        repository."""

    def list_command(self, below: Kept) -> str:
        """Return the command with which a person lists the objects with their times."""

    def findings(self, protection: str | None) -> list[Finding]:
        """Return the findings for `doctor` beyond `preflight`: about the clock, and whether
        `protection` is true.
        """


LARGEST_CONFIG = 1 << 16
"""The largest size in bytes that drd reads: restic's config has 155 bytes."""


def digest_of(config: bytes) -> str:
    return hashlib.sha256(config).hexdigest()


LARGEST_ANSWER = 2 << 20
"""The largest answer that drd reads, in bytes. The longest answer of S3 is a listing of 1,000
objects, which has less than half of this size.
"""

CONTENTS = ("data", "index", "snapshots")
"""Directories that hold the files of a repository that has been used."""


def config_lost(url: str) -> RepositoryDamaged:
    return RepositoryDamaged(
        f"the repository at {url} has lost its file `config`",
        hint="restore this file from a copy; to start a new repository on purpose, give the plan "
        "another URL or prefix.",
    )


_LOCK = re.compile(r"[0-9a-f]{64}")


def lock_names(names: Iterable[str]) -> frozenset[str]:
    """The names that are locks. A restic that was killed while it wrote one leaves a file with
    another name, which restic ignores.
    """
    return frozenset(name for name in names if is_id(name))


def is_id(name: str) -> bool:
    """Return whether restic considers a file of this name one of its own."""
    return _LOCK.fullmatch(name) is not None
