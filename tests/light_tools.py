"""Programs and libraries that take less of the processor, without doing anything else.

restic's collector and its many threads cost more than its work in a repository of a few kilobytes:
here it has one thread, and collects late, and its version is asked for once. botocore reads a
megabyte of descriptions for each of its sessions: here a process reads them once. Python's
collector goes through all of pytest's objects again and again: here it leaves out those that are
there before the first test.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session

from drd.kinds.postgres.template import ClusterTemplate
from drd.process import command
from drd.process.private import is_in_root_place
from drd.repositories.restic import runner

_RARELY = (50_000, 20, 20)
"""As drd itself collects."""
GO = {"GOMAXPROCS": "1", "GOGC": "400"}


def install() -> None:
    """In this process, and for what it starts, from now on."""
    gc.set_threshold(*_RARELY)  # the tests are imported next
    os.environ.update(GO)
    command._PASSED_ON = [*command._PASSED_ON, *GO]
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def share_clusters(run: Path) -> None:
    """Let this process and its forks keep templates of clusters in the directory of the run."""
    make = ClusterTemplate.__init__

    def make_shared(self: ClusterTemplate, shelf: Path, *rest: Any) -> None:
        seen = run.exists()  # not from inside a machine
        ours = seen and os.geteuid() == run.stat().st_uid and not is_in_root_place(shelf)
        make(self, run / "clusters" if ours else shelf, *rest)

    ClusterTemplate.__init__ = make_shared  # type: ignore[assignment,method-assign]


def know_restic() -> None:
    """Let this process and its forks know the version of the restic that is installed here."""
    installed, ask = shutil.which("restic"), runner.version  # type: ignore[attr-defined]
    if installed is None:
        return
    words = [installed, "version", "--json"]
    said = subprocess.run(words, capture_output=True, check=True).stdout
    version, mark = json.loads(said)["version"], _mark(installed)

    def known(program: str) -> str:
        return version if program == installed and _mark(program) == mark else ask(program)

    runner.version = known  # type: ignore[attr-defined]


def _mark(program: str) -> tuple[int, ...]:
    info = Path(program).stat()
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Nearly all that is made meanwhile stays, so nobody looks for what does not, then or later."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
