"""The path by which drd opens a plan's file: the directories and links on it and the file itself,
each as it was when drd opened it.

Code that reads a file and checks its name later may check another file, because others can replace
names in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from drd.process.path_walk import Link, PathEntry, PathWalk, walk

_AT_ONCE = 16
"""The number of directories that are kept open."""

_TRIES = 8
"""The number of tries: a name may become a link between drd's check and its opening of the file,
when somebody puts a new version in its place."""

_HOW = os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: a FIFO with this name must not block drd."""


@dataclass(frozen=True, slots=True)
class PlanPath:
    """The path to one file. `directories` are all directories on the path, from the root on,
    including directories that contain links. `links` are the links that were followed and that
    users other than root can change.
    """

    path: str
    file: PathEntry
    directories: tuple[PathEntry, ...]
    links: tuple[Link, ...]


class _OpenDirectory(NamedTuple):
    """An open directory, and the path to it: names that change later do not change these."""

    fd: int
    place: Path
    directories: tuple[PathEntry, ...]
    links: tuple[Link, ...]


class _IsLink(Exception):
    pass


class PathWalker:
    """Opens one or many files. Walks to each directory only once."""

    def __init__(self) -> None:
        self._held: dict[str, _OpenDirectory] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.popitem()[1].fd)

    @contextmanager
    def opened(self, path: str, how: int = os.O_RDONLY) -> Iterator[tuple[int, PlanPath]]:
        """Open the file; return its descriptor, and the path to it. Raises OSError."""
        fd, reached = self._in_its_directory(path, how) or _walked(path, how)
        try:
            yield fd, reached
        finally:
            os.close(fd)

    def _in_its_directory(self, path: str, how: int) -> tuple[int, PlanPath] | None:
        """Open the file in a directory that is open already; None when the name is a link."""
        above, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            return None
        try:
            return _opened(path, name, self._directory(f"{above}/" if "/" in path else "."), how)
        except _IsLink:
            return None

    def _directory(self, path: str) -> _OpenDirectory:
        if (held := self._held.get(path)) is None:
            if len(self._held) >= _AT_ONCE:
                self.__exit__()
            with closing(walk(path)) as way:
                if way.missing:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                held = self._held[path] = _held(way, os.dup(way.steps[-1].fd))
        return held


def using(ways: PathWalker | None) -> AbstractContextManager[PathWalker]:
    """The given ways, which stay open afterwards, or new ones for this use."""
    return PathWalker() if ways is None else nullcontext(ways)


def _held(way: PathWalk, fd: int) -> _OpenDirectory:
    passed = tuple(p for p in way.passed if stat.S_ISDIR(p.info.st_mode))
    return _OpenDirectory(fd, way.reached, passed, tuple(way.links))


def _opened(path: str, name: str, above: _OpenDirectory, how: int) -> tuple[int, PlanPath]:
    try:
        fd = os.open(name, how | os.O_NOFOLLOW | _HOW, dir_fd=above.fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _IsLink from None
        raise
    try:
        file = PathEntry.of(above.place / name, fd)
        if stat.S_ISLNK(file.info.st_mode):
            raise _IsLink
        return fd, PlanPath(path, file, above.directories, above.links)
    except BaseException:
        os.close(fd)
        raise


def _walked(path: str, how: int) -> tuple[int, PlanPath]:
    """Walk the whole path to the file, following every link."""
    for _ in range(_TRIES):
        with closing(walk(path)) as way:
            if way.missing:
                return _of_the_kernels(path, way, how)
            at = way.steps[-2] if len(way.steps) > 1 else way.steps[-1]
            above = _held(way, at.fd)._replace(place=way.reached.parent)
            try:
                return _opened(path, way.steps[-1].name if len(way.steps) > 1 else ".", above, how)
            except _IsLink:
                continue
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _of_the_kernels(path: str, way: PathWalk, how: int) -> tuple[int, PlanPath]:
    """Open a file that only the kernel's own links lead to, such as a pipe at `/dev/stdin`. A user
    who could replace it in between can change a directory on the way, and that is noticed."""
    fd = os.open(path, how | _HOW)
    try:
        above = _held(way, fd)
        return fd, PlanPath(path, PathEntry.of(way.place, fd), above.directories, above.links)
    except BaseException:
        os.close(fd)
        raise
