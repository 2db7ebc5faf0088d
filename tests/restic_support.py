"""A local repository of the real restic, and captures stored in it as a backup run does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.model.snapshot import ComponentSnapshot, Stored
from drd.ports import Capture, Payload, Workplace
from tests.repository_support import founded, local_repository


class Restic:
    """One repository below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.repository = founded(local_repository(directory))
        # What the manifest of a point keeps for a restore, by snapshot.
        self.private: dict[str, Mapping[str, Any]] = {}

    def store(self, payload: Payload) -> Stored:
        return self.repository.store(payload, host="test", tags=["test"])

    def restore(self, snapshot: str, into: Path) -> None:
        self.repository.restore(snapshot, into)


def captured(name: str, kind: str, capture: Capture, restic: Restic) -> ComponentSnapshot:
    """Store an open capture as a backup run does, and describe it."""
    fingerprint = capture.fingerprint()
    stored = restic.store(capture.payload)
    fingerprint = capture.verify(stored, fingerprint)
    restic.private[stored.snapshot] = dict(capture.private)
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
    directory.chmod(0o711)
    return Workplace(directory, run, run_as="postgres" if os.geteuid() == 0 else None)
