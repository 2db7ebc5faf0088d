"""Look into snapshots: the times of files, and a mounted point."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any

from drd import process
from drd.errors import RepositoryError, TargetError, ToolMissing
from drd.exhaustion import system_reason
from drd.model.units import from_rfc3339
from drd.process import Command, Completed, find_tool
from drd.process.mounts import Mounted, mounted_at
from drd.process.private import why_not_private
from drd.repositories.restic.errors import judge
from drd.repositories.restic.payload import ids
from drd.repositories.restic.runner import ResticRunner

_DEVICE = Path("/dev/fuse")
_UNMOUNT_S = 10.0
_SOURCE = "restic"
"""The name that restic gives to the file system that it mounts."""

_REFUSED = re.compile(r"mount helper error: (?:fusermount3?: )?(.*)")


def changed(runner: ResticRunner, snapshot: str, directory: str) -> dict[str, datetime]:
    """Implements `Repository.changed`. restic prints a name that is not UTF-8 as another one."""
    words = ["ls", "--json", *ids([snapshot]), directory]
    printed = runner.reading(
        lambda wait: runner.capture(words, retry_lock_s=wait)[0], ignore_foreign_lock=True
    )
    try:
        nodes = [json.loads(line) for line in printed.splitlines()]
        times = {n["path"]: _time(n["mtime"]) for n in nodes if _is_named(n)}
    except (ValueError, KeyError, TypeError) as error:
        raise RepositoryError("cannot parse restic's listing of a directory") from error
    return {path: time for path, time in times.items() if time is not None}


def _is_named(node: Mapping[str, Any]) -> bool:
    return node.get("struct_type") == "node" and "\ufffd" not in node["path"]


def _time(text: str) -> datetime | None:
    """Return None for a time that is no date here: files can have any."""
    try:
        return from_rfc3339(text)
    except ValueError:
        return None


def mount(
    runner: ResticRunner,
    into: Path,
    *,
    host: str,
    tags: Sequence[Sequence[str]],
    on_ready: Callable[[], None],
) -> None:
    """Implements `Repository.mount`. restic unmounts when it is asked to end; if something still
    uses the directory then, it is detached."""
    unmounter = _unmounter()
    _require_empty(into)
    _require_private(into)
    runner.ready()
    words = ["mount", f"--host={host}", *(f"--tag={','.join(each)}" for each in tags)]
    words += ["--path-template=%i", "--"]

    def serve(retry_lock_s: int) -> None:
        point = _Point(directory)
        said_ready = False

        def tick() -> None:
            nonlocal said_ready
            if not said_ready and point.is_mounted():
                said_ready = True
                on_ready()

        # fusermount mounts at no path with a link in it.
        options = runner.with_lock_option([*words, str(point.place())])
        command = runner.session.command(options, retry_lock_s=retry_lock_s)
        try:
            done = process.run(command, on_line=lambda _: None, on_tick=tick)
            _require_mounted(done, into)
            judge(done, runner.url)
        finally:
            with process.shielded():
                point.clear(unmounter)

    with _held(into) as directory:
        runner.reading(serve, ignore_foreign_lock=True)


@contextmanager
def _held(into: Path) -> Iterator[int]:
    """Keep the directory below the mount open: whatever its path leads to later, it is found."""
    fd = os.open(into, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


class _Point:
    """A directory, held by a descriptor, at which restic mounts. Nothing else is unmounted than
    what restic has mounted there."""

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._ours: Mounted | None = None

    def is_mounted(self) -> bool:
        """Return whether restic's mount is there, and note it."""
        there = mounted_at(self.place())
        if self._ours is None and there is not None and there.source == _SOURCE:
            self._ours = there
        return self._ours is not None

    def clear(self, unmounter: str) -> None:
        """Unmount what restic left. Raises TargetError if that fails."""
        if not self.is_mounted() or not self._is_left():
            return
        place = self.place()
        process.run(Command([unmounter, "-u", "-z", str(place)], deadline_s=_UNMOUNT_S))
        if self._is_left():
            raise TargetError(
                f"cannot unmount {place}: the restore point is still mounted there",
                hint=f"unmount it: umount --lazy {quote(str(place))}",
            )

    def _is_left(self) -> bool:
        there = mounted_at(self.place())
        return (
            there is not None
            and self._ours is not None
            and (there.number, there.device) == (self._ours.number, self._ours.device)
        )

    def place(self) -> Path:
        """Where the directory is now, without links."""
        return Path(f"/proc/self/fd/{self._directory}").readlink()


def _require_mounted(done: Completed, into: Path) -> None:
    """Raise TargetError with the reason of fusermount, which restic prints as a library's words."""
    refused = _REFUSED.search(done.stderr)
    if done.exit_code != 0 and refused is not None:
        raise TargetError(
            f"cannot mount at {into}: {refused[1].strip().lower()}",
            hint="give an empty directory that belongs to you, or run the command as root.",
        )


def _unmounter() -> str:
    """Return the program that restic, too, needs for mounts of FUSE. Raises ToolMissing."""
    if not _DEVICE.exists():
        raise ToolMissing(
            f"this system has no {_DEVICE}, which a mount needs",
            hint="load the kernel module: modprobe fuse. A container gets the device from its "
            "host: --device /dev/fuse --cap-add SYS_ADMIN. Without a mount, drd ls shows "
            "what the restore point contains.",
        )
    try:
        return find_tool("fusermount3", package="fuse3")
    except ToolMissing:
        return find_tool("fusermount", package="fuse3")


def _require_private(into: Path) -> None:
    """Raise TargetError if others could make root unmount something else: restic and fusermount
    unmount by the path."""
    if os.geteuid() == 0 and (why := why_not_private(into, 0)):
        raise TargetError(
            f"root cannot mount safely at {into}: {why}",
            hint="give an empty directory that only root can replace: mkdir /mnt/look",
        )


def _require_empty(into: Path) -> None:
    try:
        empty = not any(into.iterdir())
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            raise TargetError(
                f"cannot mount at {into}: a restore point was mounted there, and the process "
                "that served this mount was killed",
                hint=f"unmount what is left: umount --lazy {quote(str(into))}",
            ) from error
        make = f": mkdir -p {quote(str(into))}" if error.errno == errno.ENOENT else "."
        raise TargetError(
            f"cannot mount at {into}: {system_reason(error)}",
            hint=f"give an empty directory that belongs to you{make}",
        ) from error
    if not empty or into.is_mount():
        raise TargetError(
            f"cannot mount at {into}: it is not empty", hint="give an empty directory."
        )
