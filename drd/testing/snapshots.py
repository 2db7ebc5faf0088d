"""A local repository of the real restic, and captures stored in it as a backup run does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.model.plan import RepositorySpec, SecretRef
from drd.model.snapshot import ComponentSnapshot, StoredSnapshot
from drd.ports import Capture, Payload, Repository, Workplace
from drd.repositories import open_repository

_PASSWORD = SecretRef("text", "a password")


class Snapshots:
    """The snapshots of a repository, and the parts of manifests that a restore needs, by
    snapshot.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.private: dict[str, Mapping[str, Any]] = {}

    def store(self, payload: Payload) -> StoredSnapshot:
        return self.repository.store(payload, host="test", tags=["test"])

    def restore(self, snapshot: str, into: Path) -> None:
        self.repository.restore(snapshot, into)

    def captured(self, name: str, kind: str, capture: Capture) -> ComponentSnapshot:
        """Store an open capture as a backup run does, and describe it."""
        fingerprint = capture.fingerprint()
        stored = self.store(capture.payload)
        fingerprint = capture.verify(stored, fingerprint)
        self.private[stored.snapshot] = dict(capture.private)
        return ComponentSnapshot(
            name,
            kind,
            "captured",
            capture.data_time,
            stored.snapshot,
            stored.bytes,
            facts=dict(capture.facts),
            fingerprint=fingerprint,
        )


def local_snapshots(directory: Path) -> Snapshots:
    """Return a new repository in the directory."""
    spec = RepositorySpec("local", str(directory / "repository"), _PASSWORD)
    repository = open_repository(
        spec, cache_dir=directory / "cache", resolve=lambda r: str(r.value)
    )
    repository.initialise()
    return Snapshots(repository)


def workplace(directory: Path, run: str = "run1") -> Workplace:
    """Return a place for a run as the flows make it."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    return Workplace(
        directory,
        run,
        run_as="nobody" if os.geteuid() == 0 else None,
        keep=directory.parent / "kept",
    )
