"""How the file of a plan is reached: the directories and links on the way, and the file itself, each as
it was when it was opened. Whoever reads a file and looks at its name afterwards looks at another one,
where names are exchanged meanwhile.
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

from drd.process.way import Link, Passed, Way, walk

_AT_ONCE = 16
"""So many directories are kept open."""

_TRIES = 8
"""A name may have become a link since it was looked at: somebody puts another version in its place."""

_HOW = os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: a FIFO by this name must not hold drd up."""


@dataclass(frozen=True, slots=True)
class Reached:
    """`directories` are those passed, from the root on, also those in which links lie; `links` are those
    taken that others than root can change."""

    path: str
    file: Passed
    directories: tuple[Passed, ...]
    links: tuple[Link, ...]


class _Held(NamedTuple):
    """A directory that is open, and the way to it: names that change later do not change these."""

    fd: int
    place: Path
    directories: tuple[Passed, ...]
    links: tuple[Link, ...]


class _IsLink(Exception):
    pass


class Ways:
    """For a look at one or many files: each of their directories is walked to once."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.popitem()[1].fd)

    @contextmanager
    def opened(self, path: str, how: int = os.O_RDONLY) -> Iterator[tuple[int, Reached]]:
        """A descriptor of the file, and how it was reached. Raises OSError."""
        fd, reached = self._in_its_directory(path, how) or _walked(path, how)
        try:
            yield fd, reached
        finally:
            os.close(fd)

    def _in_its_directory(self, path: str, how: int) -> tuple[int, Reached] | None:
        """None for a link."""
        above, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            return None
        try:
            return _opened(path, name, self._directory(f"{above}/" if "/" in path else "."), how)
        except _IsLink:
            return None

    def _directory(self, path: str) -> _Held:
        if (held := self._held.get(path)) is None:
            if len(self._held) >= _AT_ONCE:
                self.__exit__()
            with closing(walk(path)) as way:
                if way.missing:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                held = self._held[path] = _held(way, os.dup(way.steps[-1].fd))
        return held


def using(ways: Ways | None) -> AbstractContextManager[Ways]:
    """These, which stay open, or some of one's own."""
    return Ways() if ways is None else nullcontext(ways)


def _held(way: Way, fd: int) -> _Held:
    passed = tuple(p for p in way.passed if stat.S_ISDIR(p.info.st_mode))
    return _Held(fd, way.reached, passed, tuple(way.links))


def _opened(path: str, name: str, above: _Held, how: int) -> tuple[int, Reached]:
    try:
        fd = os.open(name, how | os.O_NOFOLLOW | _HOW, dir_fd=above.fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _IsLink from None
        raise
    try:
        file = Passed.of(above.place / name, fd)
        if stat.S_ISLNK(file.info.st_mode):
            raise _IsLink
        return fd, Reached(path, file, above.directories, above.links)
    except BaseException:
        os.close(fd)
        raise


def _walked(path: str, how: int) -> tuple[int, Reached]:
    """Every link is followed."""
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


def _of_the_kernels(path: str, way: Way, how: int) -> tuple[int, Reached]:
    """What no name leads to, like a pipe by `/dev/stdin`. Whoever else could put something there
    meanwhile can change what was passed, and is seen by that."""
    fd = os.open(path, how | _HOW)
    try:
        above = _held(way, fd)
        return fd, Reached(path, Passed.of(way.place, fd), above.directories, above.links)
    except BaseException:
        os.close(fd)
        raise
