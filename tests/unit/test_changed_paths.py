"""A path that another program changes during a recovery is an error with its name, not a bug."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from drd.errors import TargetError
from drd.flows.restore.changed_paths import paths_may_change
from drd.kinds import file_system
from tests.flow_support import World


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_the_path_is_named_with_what_to_do(world: World, kind: type) -> None:
    with pytest.raises(TargetError) as caught, paths_may_change(world.services):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", kind("/srv/app/etc"))
    assert caught.value.message == "/srv/app/etc changed while drd worked there: Not a directory"
    assert caught.value.hint.startswith("stop the program that removes or replaces this path")


def test_other_errors_stay_what_they_are(world: World) -> None:
    own = world.services.work_dir / "run"
    for error in (
        FileNotFoundError(errno.ENOENT, "No such file or directory", os.fspath(own)),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "relative"),
        OSError(errno.EIO, "Input/output error", "/srv/app"),
        OSError(errno.ENOENT, "No such file or directory"),
    ):
        text = re.escape(error.strerror)
        with (
            pytest.raises(type(error), match=text) as caught,
            paths_may_change(world.services),
        ):
            raise error
        assert caught.value is error


def test_a_directory_that_is_gone_is_not_called_writable(tmp_path: Path) -> None:
    finding = file_system.unwritable(tmp_path / "gone")
    assert finding is not None
    assert finding.text == f"directory {tmp_path}/gone does not exist"
    command = finding.remedy.splitlines()[0].removeprefix("as root: ")
    subprocess.run(shlex.split(command), check=True, timeout=30)
    assert file_system.unwritable(tmp_path / "gone") is None
