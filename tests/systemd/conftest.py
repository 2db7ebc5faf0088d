"""A booted system for the tests of this directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import ServerError, short_directory
from tests.servers.nspawn import Machine, cannot_boot, machine


@pytest.fixture(scope="module")
def system() -> Iterator[Machine]:
    """A system for the tests of one module, in their order; skips where none can be booted."""
    if reason := cannot_boot():
        pytest.skip(reason)
    with short_directory(Path(os.environ["DRD_TEST_RUN"])) as path, ExitStack() as stack:
        try:
            booted = stack.enter_context(machine(path))
        except ServerError as error:
            if not _in_a_container():
                raise
            pytest.skip(f"no system comes up in this container: {error}")
        yield booted


def _in_a_container() -> bool:
    """Which may keep a system from booting in ways that nobody can ask for beforehand."""
    told = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], check=False)
    return told.returncode == 0
