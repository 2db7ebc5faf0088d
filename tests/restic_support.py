"""A local repository of the real restic, whose key takes no time to derive."""

from __future__ import annotations

import os
from pathlib import Path

from drd.ports import Workplace
from drd.testing.snapshots import Snapshots
from tests.repository_support import founded, local_repository


class Restic(Snapshots):
    """One repository below `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(founded(local_repository(directory)))


def place(directory: Path, run: str = "run1") -> Workplace:
    """A workplace as the flows make it."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    return Workplace(
        directory,
        run,
        run_as="postgres" if os.geteuid() == 0 else None,
        keep=directory.parent / "kept",
    )
