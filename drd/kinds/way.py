"""Where a path leads root, walked once: each directory is held while it is looked at, and each link
read by what was opened and judged. To resolve a path and to look at its links afterwards is to look at
another path, where names are exchanged meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from drd.errors import TargetError
from drd.process.private import Step, others_change

_LINKS = 40
"""How many links are followed on one path: as many as the kernel follows."""

_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)


@dataclass
class Way:
    """A walk from the root. `links` are those taken that others can change, with whose they are;
    `missing` the names at the end that nothing has. Close it."""

    steps: list[Step] = field(default_factory=list)
    links: list[tuple[Path, int]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Without symlinks."""
        return Path("/", *(s.name for s in self.steps[1:]), *self.missing)

    @property
    def above(self) -> Step:
        """The directory in which the last name lies, or the nearest that is there."""
        return self.steps[-1] if self.missing or len(self.steps) == 1 else self.steps[-2]

    def close(self) -> None:
        self.back_to(0)

    def back_to(self, count: int) -> None:
        while len(self.steps) > count:
            os.close(self.steps.pop().fd)


def walk(path: str) -> Way:
    """Every link is followed. Raises TargetError for a path that leads nowhere."""
    way, count = Way(), 0
    try:
        way.steps.append(_step("/", os.open("/", _HOLD)))
        rest = deque(_names(path if path.startswith("/") else f"{Path.cwd()}/{path}"))
        while rest:
            if (target := _take(way, rest.popleft())) is None:
                continue
            count += 1
            if count > _LINKS:
                raise TargetError(
                    f"{path} leads through too many links", hint="name the place itself."
                )
            rest.extendleft(reversed(_names(target)))
            if target.startswith("/"):
                way.back_to(1)
    except OSError as error:
        way.close()
        raise TargetError(
            f"{path} cannot be followed: {error.strerror}", hint="name the place itself."
        ) from error
    except BaseException:
        way.close()
        raise
    return way


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _take(way: Way, name: str) -> str | None:
    """One name more; of a link, where it leads."""
    if name == "..":
        if way.missing:
            way.missing.pop()
        else:
            way.back_to(max(1, len(way.steps) - 1))
        return None
    if way.missing:
        way.missing.append(name)
        return None
    try:
        fd = _held(name, way.steps[-1].fd)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        way.missing.append(name)
        return None
    step = _step(name, fd)
    if not stat.S_ISLNK(step.info.st_mode):
        way.steps.append(step)
        return None
    try:
        if others_change(way.steps):
            whose = step.info.st_uid or way.steps[-1].info.st_uid
            way.links.append((way.place / name, whose))
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _held(name: str, above: int) -> int:
    """As a directory first: then what is mounted when it is asked for is."""
    try:
        return os.open(name, _HOLD | os.O_DIRECTORY, dir_fd=above)
    except NotADirectoryError:
        return os.open(name, _HOLD, dir_fd=above)


def _step(name: str, fd: int) -> Step:
    return Step(name, fd, os.fstat(fd))
