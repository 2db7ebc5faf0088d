"""Where a path leads root, walked once: each directory is held while it is looked at, and each link
read by what was opened and judged. To resolve a path and to look at its links afterwards is to look
at another path, where names are exchanged meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from drd.process.private import Step, listed, others_change

_LINKS = 40
"""How many links are followed on one path: as many as the kernel follows."""

_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class Link(NamedTuple):
    """One that belongs to `owner`, and that `whose` can change: he or the owner of its
    directory."""

    place: Path
    owner: int
    whose: int


class Passed(NamedTuple):
    """A directory or file that was passed. `acl` is its access control list, when its mode shows
    that somebody may write by it."""

    place: Path
    info: os.stat_result
    acl: bytes | None

    @classmethod
    def of(cls, place: Path, fd: int) -> Passed:
        info = os.fstat(fd)
        return cls(place, info, listed(fd, info))


@dataclass
class Way:
    """A walk from the root. `links` are those taken that others can change; `passed` is all that it
    led through, also what a link or `..` led away from; `missing` the names at the end that nothing
    has. Close it."""

    steps: list[Step] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Without symlinks."""
        return self.reached.joinpath(*self.missing)

    @property
    def reached(self) -> Path:
        """As much of it as is there."""
        return Path("/", *(s.name for s in self.steps[1:]))

    @property
    def above(self) -> Step:
        """The directory in which the last name lies, or the nearest that is there."""
        return self.steps[-1] if self.missing or len(self.steps) == 1 else self.steps[-2]

    def reach(self, name: str, fd: int) -> os.stat_result:
        passed = Passed.of(self.reached / name, fd)
        self.steps.append(Step(name, fd, passed.info, passed.acl))
        self.passed.append(passed)
        return passed.info

    def close(self) -> None:
        self.back_to(0)

    def back_to(self, count: int) -> None:
        while len(self.steps) > count:
            os.close(self.steps.pop().fd)


def walk(path: str) -> Way:
    """Every link is followed. Raises OSError for a path that cannot be."""
    way, count = Way(), 0
    try:
        top = os.open("/", _HOLD)
        way.reach("/", top)
        rest = deque(_names(path if path.startswith("/") else f"{Path.cwd()}/{path}"))
        while rest:
            if (target := _take(way, rest.popleft())) is None:
                continue
            count += 1
            if count > _LINKS:
                raise OSError(errno.ELOOP, "too many links", path)
            rest.extendleft(reversed(_names(target)))
            if target.startswith("/"):
                way.back_to(1)
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
    info = os.fstat(fd)
    if not stat.S_ISLNK(info.st_mode):
        way.reach(name, fd)
        return None
    try:
        if others_change(way.steps):
            whose = info.st_uid or way.steps[-1].info.st_uid
            way.links.append(Link(way.place / name, info.st_uid, whose))
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _held(name: str, above: int) -> int:
    """As a directory first: then what is mounted when it is asked for is."""
    try:
        return os.open(name, _HOLD | os.O_DIRECTORY, dir_fd=above)
    except NotADirectoryError:
        return os.open(name, _HOLD, dir_fd=above)
