"""Texts of errors of the operating system."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from drd.errors import TargetUnwritable
from drd.exhaustion import by_name, place_of
from drd.process import Completed
from drd.repositories.restic import restore
from drd.repositories.restic.messages import complaints
from drd.repositories.restic.runner import ResticRunner


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Path]:
    """The path by which root reaches a staging directory in `tmp_path`."""
    made = tmp_path / ".drd_4f2a"
    made.mkdir()
    fd = os.open(made, os.O_PATH)
    yield Path(f"/proc/{os.getpid()}/fd/{fd}")
    os.close(fd)


def test_messages_name_directories_and_not_descriptors(staging: Path, tmp_path: Path) -> None:
    assert by_name(f"cp: '{staging}/tree/a': full") == f"cp: '{tmp_path}/.drd_4f2a/tree/a': full"
    assert place_of(staging / "tree") == str(tmp_path)
    assert place_of(tmp_path / "a") == f"{tmp_path}/a"


def test_what_has_no_name_stays_as_it_is() -> None:
    reading, writing = os.pipe()
    kept = f"/proc/self/fd/{reading}"
    assert by_name(kept) == kept
    for fd in (reading, writing):
        os.close(fd)
    others = f"/proc/{os.getppid()}/fd/0 /proc/self/fd/none"
    assert by_name(others) == others


def test_a_full_disk_during_a_recovery_is_named_by_its_directory(
    staging: Path, tmp_path: Path
) -> None:
    told = {
        "message_type": "error",
        "error": {"message": f"write {staging}/tree/big: no space left on device"},
        "item": "/big",
    }
    done = Completed(1, "", json.dumps(told), 1.0)
    runner = cast("ResticRunner", None)
    error = restore._trouble(runner, done, complaints(done.stderr), staging / "tree")
    assert isinstance(error, TargetUnwritable)
    assert error.message == f"cannot write /big below {tmp_path}: no space left on device"
    assert error.hint.startswith(f"check the space and the rights in {tmp_path}, or")
