"""Work as root in directories that belong to other users.

A target's directory often belongs to an application, whose user can rename and replace its entries
while root writes there. So root keeps directories open instead of using their names: one above the
target that is reached without following a link, and the staging directory, which only root can
enter. Both are used through descriptors (`/proc/PID/fd/N`, which restic accepts as well). If nobody
else could exchange anything, and for everybody but root, the plain path is used.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from drd.errors import TargetError
from drd.kinds.file_system import is_root, remove
from drd.process.path_walk import walk
from drd.process.private import why_not_private

P = ParamSpec("P")
T = TypeVar("T")

TREE = "tree"
"""In a staging directory: the directory that restic fills. restic replaces a directory that is
reached by a link.
"""

_MARKED = ".drd_"
_landings: dict[Path, int] = {}
"""Descriptors of staging directories that this process has made, by their path, until they are
removed.
"""

_pins: dict[Path, int] = {}
"""Descriptors of directories above, and ..."""

_own: dict[Path, int] = {}
"""... of other directories of root's own, while work is done there."""

_NOWHERE = Path("/proc/self/fd/none")
"""A path that never exists: it stands for a directory that is missing where others could make
one."""

_led: dict[Path, int] = {}
"""Descriptors of directories that were reached by a link which others can change."""

_MEANWHILE = (ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, ELOOP, EINVAL)
"""The errors that a system call raises if somebody exchanges names meanwhile."""

_at_work = 0
_lock = threading.RLock()


@contextmanager
def paths_held() -> Iterator[None]:
    """Keep the paths from `pinned` and `opened` valid in the body, and close their descriptors
    after the outermost one. Raises TargetError if a path that was used had been exchanged
    meanwhile. Other errors of the system get the name of the path.
    """
    global _at_work  # noqa: PLW0603 - descriptors are the process's
    with _lock:
        _at_work += 1
    try:
        yield
    except OSError as error:
        place = _name_of(error.filename)
        if place is None:
            raise
        if error.errno in _MEANWHILE:
            raise _exchanged(place) from error
        error.filename = os.fspath(place)
        raise
    finally:
        with _lock:
            _at_work -= 1
            for known in (_pins, _own) if not _at_work else ():
                for fd in known.values():
                    os.close(fd)
                known.clear()


def working(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a method to run within `paths_held`."""

    @wraps(method)
    def work(*args: P.args, **kwargs: P.kwargs) -> T:
        with paths_held():
            return method(*args, **kwargs)

    return work


def resolved(path: str, *, last: bool = True) -> Path:
    """Resolve symlinks in the path and (unless not `last`) at its end. Raises TargetError if
    another user's link would lead root to something that does not belong to that user.
    """
    above, name = os.path.split(path)
    if not is_root():
        return Path(os.path.realpath(path)) if last else Path(os.path.realpath(above)) / name
    try:
        way = walk(path if last else above)
    except OSError as error:
        raise TargetError(
            f"{path} is a link that drd cannot follow: {error.strerror}",
            hint="write the real path instead of the link.",
        ) from error
    try:
        place, parent = (way.place, way.above) if last else (way.place / name, way.steps[-1])
        for link in way.links:
            if parent.info.st_uid != link.whose:
                raise TargetError(
                    f"{link.place} is a link to {place}, and others can change this link",
                    hint=f"use the real path: {place}",
                )
        known = way.links and len(way.missing) <= last
        _remember(place.parent, os.dup(parent.fd) if known else None)
        return place
    finally:
        way.close()


def _remember(directory: Path, fd: int | None) -> None:
    """Keep a descriptor of the directory that a user's link led to. If another directory has its
    name when root works there, that is refused.
    """
    with _lock:
        old = _led.pop(directory, None)
        if old is not None:
            os.close(old)
        if fd is not None:
            _led[directory] = fd


def pinned(path: Path) -> Path:
    """Return a path by which root reaches the same directory entry even if others rename
    directories above it. Raises TargetError if something in the path was exchanged for a link.
    """
    room = next((p for p in reversed(path.parents) if p.name.startswith(_MARKED)), None)
    if room is not None and room != path and os.path.lexists(room):
        return held(room) / path.relative_to(room)
    return _opened(path.parent) / path.name


def held(directory: Path) -> Path:
    """Return the path by which root reaches a directory that root has made itself. Raises
    TargetError if something else has its name.
    """
    if not _exposed(directory.parent):
        return directory
    place = _opened(directory.parent) / directory.name
    try:
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _nowhere(directory)
    except OSError as error:
        raise _exchanged(directory) from error
    info = os.fstat(fd)
    known = _landings.get(directory, _own.get(directory))
    same = known is None or os.path.samestat(os.fstat(known), info)
    if info.st_uid != 0 or info.st_mode & 0o022 or not same:
        os.close(fd)
        raise _exchanged(directory)
    if known is not None:
        os.close(fd)
        return _path_of(known)
    with _lock:
        _own[directory] = fd
    return _path_of(fd)


def opened(directory: Path) -> Path:
    """Return the path by which root reaches an existing directory of any owner, never through a
    link.
    """
    return _opened(directory)


@working
def make_landing(directory: Path, *, parents: bool = False) -> Path:
    """Make an empty directory that only its owner can enter, for restic to fill. An existing one is
    removed.
    """
    if parents:
        make_directories(directory.parent)
    made = make_room(directory)
    if not _exposed(directory.parent):
        return made
    content(directory).mkdir(mode=0o700)
    return content(directory)


@working
def content(directory: Path) -> Path:
    """Return the directory that restic has filled."""
    return held(directory) / TREE if _exposed(directory.parent) else directory


def content_name(directory: Path) -> Path:
    """Return the name of the directory that restic has filled, also if it is not held open."""
    return directory / TREE if _exposed(directory.parent) else directory


@working
def make_room(directory: Path) -> Path:
    """Make an empty directory of drd's own. An existing one is removed."""
    forget(directory)
    remove(pinned(directory))
    pinned(directory).mkdir(mode=0o700)
    entries = held(directory)
    with _lock:
        if directory in _own:
            _landings[directory] = _own.pop(directory)
    return entries


@working
def make_directories(directory: Path, mode: int = 0o755) -> list[Path]:
    """Make the directory and the missing ones above it, from the top; return the directories that
    were made."""
    missing = [d for d in (directory, *directory.parents) if not os.path.lexists(d)]
    for made in reversed(missing):
        pinned(made).mkdir(mode=mode)
    return missing[::-1]


@working
def remove_landing(directory: Path) -> None:
    """Remove the staging directory. If a link has its name, the link is removed and not its
    target.
    """
    if os.path.lexists(directory):
        remove(pinned(directory))
    forget(directory)


def forget(directory: Path) -> None:
    """Close the descriptor of a directory that was made: something else may get its name."""
    with _lock:
        for known in (_landings, _own):
            fd = known.pop(directory, None)
            if fd is not None:
                os.close(fd)


def _opened(directory: Path) -> Path:
    if not _exposed(directory):
        return directory
    with _lock:
        assert _at_work, "it would stay open"
        if directory not in _pins:
            fd = _walk(directory)
            if fd is None:
                return _nowhere(directory)
            _pins[directory] = fd
        return _path_of(_pins[directory])


def _exposed(directory: Path) -> bool:
    """Return whether others could exchange entries of the directory while root works, or make a
    missing one.
    """
    if not is_root() or directory.is_relative_to("/proc"):
        return False
    for place in (directory, *directory.parents):
        try:
            return why_not_private(place, 0) is not None
        except FileNotFoundError:
            continue
        except OSError:
            return True  # its names change meanwhile
    return False


def _walk(directory: Path) -> int | None:
    """Open it, from the root one name after the other; None if it is missing. (`openat2` with
    RESOLVE_NO_SYMLINKS does the same where the kernel has it.)
    """
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for place in _steps(directory):
        try:
            below = os.open(
                place.name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _exchanged(place) from error
        finally:
            os.close(fd)
        fd = below
    led = _led.get(directory)
    if led is not None and not os.path.samestat(os.fstat(led), os.fstat(fd)):
        os.close(fd)
        raise _exchanged(directory)
    return fd


def _steps(directory: Path) -> Iterator[Path]:
    yield from reversed([p for p in (directory, *directory.parents) if p.name])


def _path_of(fd: int) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{fd}")


def _nowhere(directory: Path) -> Path:
    return _NOWHERE / directory.relative_to("/")


def _name_of(path: object) -> Path | None:
    """Return the name that belongs to the path of a descriptor."""
    if not isinstance(path, str | Path):
        return None
    place = Path(path)
    if place.is_relative_to(_NOWHERE):
        return Path("/") / place.relative_to(_NOWHERE)
    for known in (_pins, _own, _landings):
        for directory, fd in known.items():
            if place.is_relative_to(_path_of(fd)):
                return directory / place.relative_to(_path_of(fd))
    return None


def _exchanged(place: Path) -> TargetError:
    return TargetError(
        f"another process replaced {place} while drd worked there as root, so drd stopped",
        hint=f"find out which users other than root can write to {place.parent}, remove this "
        "right, then try again.",
    )
