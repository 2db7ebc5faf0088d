"""Commands behind a fence, and what they said."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drd import process
from drd.fence import available
from drd.process import Command, Completed, Fences

PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

fences = pytest.mark.skipif(
    bool(available.detect().missing), reason="this kernel has no whole fence to try"
)


@contextmanager
def own_directory() -> Iterator[Path]:
    """One that every user can reach."""
    place = Path(tempfile.mkdtemp(prefix="drd-fence-", dir="/var/tmp"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def behind(
    box: Fences, own: Path, *argv: str, user: str | None = None, by: str = "it"
) -> Completed:
    """Run a command behind a fence whose own directory is `own`."""
    command = Command(argv, cwd=own, user=user, fence=box.fence(by, [own]), deadline_s=30.0)
    return process.run(command)


def python(
    box: Fences, own: Path, script: str, *arguments: str, user: str | None = None, by: str = "it"
) -> Completed:
    return behind(box, own, PYTHON, "-I", "-c", script, *arguments, user=user, by=by)
