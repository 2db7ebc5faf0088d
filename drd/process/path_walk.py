"""Walk a path for root once: each directory is held open while it is checked, and each link is read
through its open descriptor. Resolving a path first and checking its links later would be unsafe,
because others can replace names meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from drd.process.private import HeldDirectory, listed, others_change

_LINKS = 40
"""The largest number of links that are followed on one path: the kernel's limit."""

_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class Link(NamedTuple):
    """A link that belongs to `owner`, and that `whose` can change: its owner, or the owner of its
    directory.
    """

    place: Path
    owner: int
    whose: int


class PathEntry(NamedTuple):
    """A directory or file on the way. `acl` is its access control list, when its mode shows that it
    may allow writing.
    """

    place: Path
    info: os.stat_result
    acl: bytes | None

    @classmethod
    def of(cls, place: Path, fd: int) -> PathEntry:
        info = os.fstat(fd)
        return cls(place, info, listed(fd, info))


@dataclass
class PathWalk:
    """A walk from the root directory. `links` are the followed links that others can change;
    `passed` is everything on the way, including what a link or `..` left again; `missing` are the
    names at the end that do not exist. Close it.
    """

    steps: list[HeldDirectory] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    passed: list[PathEntry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """The path without symlinks."""
        return self.reached.joinpath(*self.missing)

    @property
    def reached(self) -> Path:
        """The existing part of the path."""
        return Path("/", *(s.name for s in self.steps[1:]))

    @property
    def above(self) -> HeldDirectory:
        """The directory that contains the last name, or the nearest existing one."""
        return self.steps[-1] if self.missing or len(self.steps) == 1 else self.steps[-2]

    def reach(self, name: str, fd: int) -> os.stat_result:
        passed = PathEntry.of(self.reached / name, fd)
        self.steps.append(HeldDirectory(name, fd, passed.info, passed.acl))
        self.passed.append(passed)
        return passed.info

    def close(self) -> None:
        self.back_to(0)

    def back_to(self, count: int) -> None:
        while len(self.steps) > count:
            os.close(self.steps.pop().fd)


def walk(path: str) -> PathWalk:
    """Walk the path and follow every link. Raises OSError for an invalid path."""
    way, count = PathWalk(), 0
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


def _take(way: PathWalk, name: str) -> str | None:
    """Take the next name; for a link, continue at its destination."""
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
        fd = _open_first(name, way.steps[-1].fd)
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


def _open_first(name: str, above: int) -> int:
    """Try to open it as a directory first: that triggers an automount."""
    try:
        return os.open(name, _HOLD | os.O_DIRECTORY, dir_fd=above)
    except NotADirectoryError:
        return os.open(name, _HOLD, dir_fd=above)
