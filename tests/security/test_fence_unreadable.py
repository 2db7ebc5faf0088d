"""A fence whose user cannot read Python's library works all the same, or says why it does not."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.errors import SandboxUnavailable
from drd.process import Fences
from drd.process.fence import CANNOT, require_up
from tests.fence_support import behind, fences, own_directory

pytestmark = [
    fences,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user"),
]


@pytest.fixture
def own() -> Iterator[Path]:
    with own_directory() as place:
        place.chmod(0o777)
        yield place


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fences]:
    """Of a drd whose code lies where root alone can read it."""
    package = Path(__file__).parents[2] / "drd"
    with tempfile.TemporaryDirectory(prefix="drd-private-", dir="/var/tmp") as place:
        shutil.copytree(package, Path(place) / "drd", ignore=shutil.ignore_patterns("__pycache__"))
        boot = f"import sys; sys.path.insert(0, {place!r}); from drd.fence.main import main; main()"
        monkeypatch.setattr("drd.process.fence._BOOT", boot)
        made = Fences()
        made._grouped = True  # without a control group, whose files are read beforehand
        yield made
        made.close()


def test_command_runs_where_its_user_can_read_nothing_of_drd(box: Fences, own: Path) -> None:
    done = behind(box, own, "sh", "-c", "echo here", user="nobody")
    assert (done.exit_code, done.stdout, box.failures()) == (0, "here\n", [])


BREAKS = """
import sys; sys.path.insert(0, {place!r})
from drd.fence import warden
def watch(self): raise LookupError("unknown encoding: x")
warden.Warden.watch = watch
from drd.fence.main import main
main()
"""


def test_fence_that_breaks_is_not_a_failure_of_the_command(
    box: Fences, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(Path(__file__).parents[2])
    monkeypatch.setattr("drd.process.fence._BOOT", BREAKS.format(place=place))
    done = behind(box, own, "sleep", "20", user="nobody")
    assert done.exit_code == CANNOT
    [why] = box.failures()
    assert "unknown encoding: x" in why
    assert sys.base_prefix in why
    with pytest.raises(SandboxUnavailable):
        require_up(box.fence("it", [own]), done.exit_code)
    require_up(box.fence("it", [own]), 1)  # which is the command's own
