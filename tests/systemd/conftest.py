"""A booted system for the tests of this directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import short_directory
from tests.servers.nspawn import Machine, cannot_boot, machine


@pytest.fixture(scope="module")
def system() -> Iterator[Machine]:
    """A system for the tests of one module, in their order; skips where none can be booted."""
    if reason := cannot_boot():
        pytest.skip(reason)
    with short_directory(Path(os.environ["DRD_TEST_RUN"])) as path, machine(path) as booted:
        yield booted
