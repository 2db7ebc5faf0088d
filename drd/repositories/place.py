"""What a repository needs to know about the place that it lies in, whatever kind of place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from drd.ports import Finding


class Place(Protocol):
    """A bucket or a directory, looked at without restic: in milliseconds and without a key."""

    url: str

    def preflight(self) -> None:
        """The place answers, exists and may be used; a few seconds at most.

        Raises RepositoryUnreachable, RepositoryMissing or RepositoryError with the remedy.
        """

    def locks(self) -> frozenset[str]:
        """The names of restic's lock files; empty where there is no repository."""

    def findings(self, protection: str | None) -> list[Finding]:
        """For `doctor`, beyond `preflight`: the clock, and whether `protection` is true."""


_LOCK = re.compile(r"[0-9a-f]{64}")


def lock_names(names: Iterable[str]) -> frozenset[str]:
    """Those that are locks: a restic killed while it writes one leaves a file of another name,
    which nobody minds."""
    return frozenset(name for name in names if _LOCK.fullmatch(name))
