"""A local repository of the real restic, and captures stored in it as a backup run does."""

from __future__ import annotations

from pathlib import Path

from drd.model.snapshot import ComponentSnapshot, Stored
from drd.ports import Capture, Payload, Workplace
from tests.repository_support import local_repository


class Restic:
    """One repository below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.repository = local_repository(directory)
        self.repository.initialise()

    def store(self, payload: Payload) -> Stored:
        return self.repository.store(payload, host="test", tags=["test"])

    def restore(self, snapshot: str, into: Path) -> None:
        self.repository.restore(snapshot, into)


def captured(name: str, kind: str, capture: Capture, restic: Restic) -> ComponentSnapshot:
    """Store an open capture as a backup run does, and describe it."""
    fingerprint = capture.fingerprint()
    stored = restic.store(capture.payload)
    fingerprint = capture.verify(stored, fingerprint)
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


def place(directory: Path, run: str = "run1") -> Workplace:
    """A workplace as the flows make it."""
    directory.mkdir(parents=True, exist_ok=True)
    return Workplace(directory, run)
