"""What tests of more than one file here begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.repositories.restic import ResticRepository
from tests.repository_support import founded, local_repository, restic_processes


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[ResticRepository]:
    """An empty one; afterwards no restic is left, and no lock."""
    repository = founded(local_repository(tmp_path))
    yield repository
    assert restic_processes(tmp_path) == []
    assert repository.runner.session.place.locks() == frozenset()
