"""The digests of files, as `sha256sum` writes and checks them; and links, empty directories and
special files, as `find` prints them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from drd import process

_CHUNK = 1 << 20


def digest_lines(base: Path, below: Path) -> list[bytes]:
    """Return a line for each regular file below a directory, as `sha256sum` writes it: with its
    path from `base`, in the order of their names."""
    lines = []
    for directory, below_it, names in os.walk(os.fsencode(below)):
        for name in below_it:
            _open_up(os.path.join(directory, name), 0o700)  # noqa: PTH118 - bytes: any name
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            if stat.S_ISREG(os.lstat(path).st_mode):
                _open_up(path, 0o400)
                lines.append(_line(path, os.path.relpath(path, os.fsencode(base))))
    return sorted(lines, key=lambda line: line.partition(b"  ")[2])


def other_lines(base: Path, below: Path) -> list[bytes]:
    """Return a text for the directory `below`, and for each link, empty directory and special file
    below it: its kind, its path from `base` and the target of a link, as `find -printf '%y %p //
    %l'` writes them. A path does not contain `//`."""
    top = os.fsencode(below)
    lines = [(b"d", top, b"")]  # also if it is not empty: so the list is never empty
    for directory, below_it, names in os.walk(top):
        if not below_it and not names and directory != top:
            lines.append((b"d", directory, b""))
        for name in (*below_it, *names):
            path = os.path.join(directory, name)  # noqa: PTH118 - bytes: any name
            kind = _LETTERS.get(stat.S_IFMT(os.lstat(path).st_mode))
            if kind is not None:
                lines.append((kind, path, os.readlink(path) if kind == b"l" else b""))  # noqa: PTH115
    start = os.fsencode(base)
    return [
        kind + b" ./" + os.path.relpath(path, start) + b" // " + target
        for kind, path, target in lines
    ]


def own_line(item: str) -> bytes:
    """Return the text of the directory of an item that contains only files."""
    return b"d ./" + os.fsencode(item) + b" // "


_LETTERS = {
    stat.S_IFLNK: b"l",
    stat.S_IFIFO: b"p",
    stat.S_IFSOCK: b"s",
    stat.S_IFCHR: b"c",
    stat.S_IFBLK: b"b",
}


def as_list(lines: Iterable[bytes]) -> bytes:
    """Return these texts in the form of `sort -z`: each ends with a zero byte, because any name may
    contain line breaks."""
    return b"".join(line + b"\0" for line in sorted(lines))


def _open_up(path: bytes, bits: int) -> None:
    """Let this process read a restored file, whose mode may forbid that to all but root."""
    mode = os.lstat(path).st_mode
    if os.geteuid() != 0 and not stat.S_ISLNK(mode) and mode & bits != bits:
        os.chmod(path, stat.S_IMODE(mode) | bits)  # noqa: PTH101 - bytes: any name


def _line(path: bytes, name: bytes) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 - bytes: any name
        while chunk := file.read(_CHUNK):
            process.check_cancelled()
            digest.update(chunk)
    told = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if told != name else b""
    return mark + digest.hexdigest().encode() + b"  " + told
