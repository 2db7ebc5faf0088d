"""Serve the files of snapshots to a mount that somebody else has made.

restic mounts by fusermount, which hands it the descriptor of the mount. For a server of a drill the
mounter has made it (`drd.process.mounter`): a program in fusermount's place hands that over."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drd import process
from drd.errors import DrdError, RepositoryError
from drd.instant import handed_over
from drd.process import Child, Completed
from drd.repositories.restic.errors import judge
from drd.repositories.restic.runner import ResticRunner

_HELPERS = ("fusermount3", "fusermount")
_SAID = 1 << 16
_POLL_S = 0.02


class Served:
    """See `drd.ports.repository.Serving`."""

    def __init__(self, runner: ResticRunner, child: Child, said: int) -> None:
        self._runner = runner
        self._child = child
        self._said = said

    def why_ended(self, within_s: float = 0.0) -> DrdError | None:
        ends = time.monotonic() + within_s
        while (code := self._child.exit_code) is None:
            if time.monotonic() >= ends:
                return None
            time.sleep(_POLL_S)
        said = os.pread(self._said, _SAID, 0).decode("utf-8", "replace")
        done = Completed(code, "", said, time.monotonic() - self._child.started)
        try:
            judge(done, self._runner.url)
        except DrdError as error:
            return error
        return RepositoryError("restic ended while a server still read from it", permanent=False)

    def close(self) -> None:
        if self._said < 0:
            return
        code = self._child.stop()
        os.close(self._said)
        self._said = -1
        if code < 0:
            self._runner.remove_stale_locks()


def serve(
    runner: ResticRunner, served: int, room: Path, *, host: str, tags: Sequence[Sequence[str]]
) -> Served:
    """Implements `Repository.serve`."""
    runner.ready()
    words = ["mount", "--owner-root", f"--host={host}"]
    words += [*(f"--tag={','.join(each)}" for each in tags), "--path-template=%i", "--"]
    helpers, place = room / "helpers", room / "served"
    _make_helpers(helpers)
    place.mkdir(mode=0o700, exist_ok=True)
    options = runner.with_lock_option([*words, str(place)])
    path = f"{helpers}:{os.environ.get('PATH', os.defpath)}"
    command = runner.session.command(options, env={"PATH": path, handed_over.FD: str(served)})
    said = os.memfd_create("drd-restic", os.MFD_CLOEXEC)
    try:
        child = process.start(replace(command, fds=(served,)), stdout=said, stderr=said)
    except BaseException:
        os.close(said)
        raise
    return Served(runner, child, said)


def _make_helpers(directory: Path) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    program = [sys.executable, "-I", "-S", str(Path(handed_over.__file__).resolve())]
    text = f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n'
    for name in _HELPERS:
        (directory / name).write_text(text, "utf-8")
        (directory / name).chmod(0o700)
