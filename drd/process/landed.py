"""Reach what a foreign program has written below a directory, without following a link: whoever
made the data could have put a link instead of a directory, and it could lead to files of this
host.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def directory_below(top: Path, path: bytes) -> Iterator[int]:
    """Yield a descriptor of the directory `path` below `top`. Raises FileNotFoundError if it does
    not exist, and NotADirectoryError if a part of the path is a link or anything else; the error
    has the path of this part below `top`.
    """
    held = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | _as_itself(top))
    try:
        passed = b""
        for name in path.split(b"/"):
            if not name:
                continue
            passed += b"/" + name
            below = _step(held, name, passed)
            os.close(held)
            held = below
        yield held
    finally:
        os.close(held)


@contextmanager
def entry_below(top: Path, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a descriptor of the directory that holds an entry, and the entry's name in it. Raises
    as `directory_below`."""
    above, _, name = path.rstrip(b"/").rpartition(b"/")
    if name in (b"", b".", b".."):
        raise _in_the_way(path, "is not a valid name of an entry")
    with directory_below(top, above) as held:
        yield held, name


@contextmanager
def found_below(top: Path, path: bytes) -> Iterator[Path | None]:
    """Yield this process's path of a directory below `top`; None if the directory does not
    exist."""
    with ExitStack() as stack:
        try:
            held = stack.enter_context(directory_below(top, path))
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        yield Path(f"/proc/self/fd/{held}")


def _step(above: int, name: bytes, passed: bytes) -> int:
    if name in (b".", b".."):
        raise _in_the_way(passed, "leads elsewhere")
    try:
        return os.open(name, _STEP, dir_fd=above)
    except NotADirectoryError:
        mode = os.stat(name, dir_fd=above, follow_symlinks=False).st_mode
        what = "is a symbolic link" if stat.S_ISLNK(mode) else "is not a directory"
        raise _in_the_way(passed, what) from None


def _in_the_way(place: bytes, what: str) -> NotADirectoryError:
    return NotADirectoryError(errno.ENOTDIR, what, os.fsdecode(place))


def _as_itself(top: Path) -> int:
    """Return the flag with which opening `top` fails if it is a link. Return 0 for the path of a
    descriptor in /proc, which is always a link."""
    is_descriptor = top.is_relative_to("/proc") and top.parent.name == "fd"
    return 0 if is_descriptor else os.O_NOFOLLOW
