"""What a repository needs to know about the place that it lies in, whatever kind of place."""

from __future__ import annotations

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
