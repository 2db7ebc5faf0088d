"""What a repository needs to know about the place that it lies in, whatever kind of place."""

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
"""The largest number of names that is read of one directory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`written` is the time at which the object was written there, in seconds of the place's
    clock, 0 when the place does not tell. Whoever can write there cannot choose it, but can write
    the object again."""

    size: int
    written: float


class Place(Protocol):
    """A bucket or a directory, looked at without restic: in milliseconds and without a key."""

    url: str
    far: bool
    """Whether a look at it takes a moment: it asks over a network, with a client of its own."""

    def preflight(self, *, writing: bool = True) -> None:
        """The place answers, exists and may be used; a few seconds at most. Without `writing`, one
        with a repository that may only be read will do; a bucket does not tell.

        Raises RepositoryUnreachable, RepositoryMissing or RepositoryError with the remedy.
        """

    def probe(self) -> str | None:
        """The digest of the repository's `config`, which is written once and never changed, by one
        request; None where there is none. Raises RepositoryMissing for a place that is gone,
        RepositoryUnreachable, RepositoryError."""

    def read_only(self) -> bool:
        """Whether it is known that nothing can be written there."""

    def clock_ahead_s(self) -> float | None:
        """By how many seconds this host's clock is ahead of the place's; None where that does not
        tell. Writes nothing that stays."""

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        """Those of restic's snapshots whose files are not there."""

    def lock_files(self) -> Mapping[str, float]:
        """What lies where restic keeps its locks: how many seconds ago each was written. Empty
        where there is no repository."""

    def locks(self) -> frozenset[str]:
        """The names of restic's locks among them."""

    def objects(self, below: Kept) -> Mapping[str, Entry]:
        """The objects that have names as restic gives them, or the first of very many; empty
        without a repository."""

    def read(self, name: str, most: int) -> bytes | None:
        """The first `most` bytes of an object, by its name below the repository; None where there
        is none."""

    def unfinished_keys(self) -> list[str]:
        """Key files of a repository that has no config: what a killed `init` leaves, and what no
        later one gets past.

        Raises RepositoryDamaged when there is data as well: that was a repository once.
        """

    def put_mark(self, name: str) -> None:
        """Write an empty file beside restic's locks, which restic passes over; makes the directory
        where there is none yet."""

    def remove(self, below: Literal["keys", "locks"], names: Iterable[str]) -> None:
        """Remove files by name; one that is gone already is none of our business."""

    def removal(self, name: str) -> str:
        """How a person removes an object, by its name below the repository: a command."""

    def list_command(self, below: Kept) -> str:
        """The command by which a person lists the objects with their times."""

    def findings(self, protection: str | None) -> list[Finding]:
        """For `doctor`, beyond `preflight`: the clock, and whether `protection` is true."""


LARGEST_CONFIG = 1 << 16
"""More of it is not read: restic's takes 155 bytes."""


def digest_of(config: bytes) -> str:
    return hashlib.sha256(config).hexdigest()


LARGEST_ANSWER = 2 << 20
"""The largest answer that is read, in bytes. The longest answer of S3 is a listing of 1,000
objects, which has less than half of this size."""

CONTENTS = ("data", "index", "snapshots")
"""Where the files of a repository lie that has been used."""


def damaged(url: str) -> RepositoryDamaged:
    return RepositoryDamaged(
        f"what lies at {url} was a repository, but its config is gone",
        hint="restore the file `config` from a copy; to begin anew on purpose, give the plan "
        "another URL or prefix.",
    )


_LOCK = re.compile(r"[0-9a-f]{64}")


def lock_names(names: Iterable[str]) -> frozenset[str]:
    """Those that are locks: a restic killed while it writes one leaves a file of another name,
    which nobody minds."""
    return frozenset(name for name in names if is_id(name))


def is_id(name: str) -> bool:
    """Whether restic takes a file of that name for one of its own."""
    return _LOCK.fullmatch(name) is not None
