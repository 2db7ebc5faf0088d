"""Describe one directory entry: attributes, contents, links, extended attributes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable

from drd.kinds.files.walk import Seen, kind_of, to_bytes, to_text
from drd.model.snapshot import FileEntry, TreeFingerprint
from drd.model.units import format_duration
from drd.process import check_cancelled

_CHUNK = 1 << 20
_EVERYBODYS = ("user.", "system.posix_acl_")
_ROOTS = ("security.capability", "trusted.")
"""Extended attributes that only root can set and that are compared. Others, like the labels of
security.selinux, depend on the host and are ignored.
"""


class Describer:
    """Describes entries in the order of a walk, and remembers hard links."""

    def __init__(self, *, budget_s: float | None = None, owners: bool = True) -> None:
        self._first_names: dict[tuple[int, int], str] = {}
        self._budget_s = budget_s
        self._deadline = None if budget_s is None else time.monotonic() + budget_s
        self._owners = owners
        self._buffer = bytearray(_CHUNK)
        self.not_reached: dict[str, str] = {}

    def describe(self, path: bytes, name: str) -> FileEntry | None:
        """Describe the entry at `path` under the name `name`; None if it has vanished. Parts that
        cannot be read are missing from the description and named in `not_reached`.
        """
        try:
            info = os.lstat(path)
            kind = kind_of(info.st_mode)
            return FileEntry(
                kind=kind,
                mode=stat.S_IMODE(info.st_mode),
                uid=info.st_uid if self._owners else -1,
                gid=info.st_gid if self._owners else -1,
                size=info.st_size if kind == "file" else 0,
                digest=self._digest(path, name) if kind == "file" else None,
                link=self._link(path, name, info, kind),
                xattrs=self._xattrs(path, name),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            self.not_reached[name] = error.strerror or str(error)
            return None

    def _link(self, path: bytes, name: str, info: os.stat_result, kind: str) -> str | None:
        if kind == "symlink":
            return to_text(os.readlink(path))  # noqa: PTH115 - paths are bytes
        if kind == "device":
            return f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
        if kind != "file" or info.st_nlink == 1:
            return None
        first = self._first_names.setdefault((info.st_dev, info.st_ino), name)
        return None if first == name else first

    def _digest(self, path: bytes, name: str) -> str | None:
        if self._is_out_of_time():
            assert self._budget_s is not None
            spent = format_duration(self._budget_s)
            self.not_reached[name] = (
                f"the time limit of the fingerprint (`budget: {spent}`) was reached"
            )
            return None
        try:
            return self._sha256(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            self.not_reached[name] = error.strerror or str(error)
            return None

    def _sha256(self, path: bytes) -> str:
        digest = hashlib.sha256()
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while count := os.readv(fd, [self._buffer]):
                digest.update(memoryview(self._buffer)[:count])
                check_cancelled()
        finally:
            os.close(fd)
        return digest.hexdigest()

    def _is_out_of_time(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _xattrs(self, path: bytes, name: str) -> str | None:
        """Return `digest` of what everybody may set, `digest:digest` if there are also attributes
        that only root may set; None if there are neither.
        """
        try:
            names = sorted(os.listxattr(path, follow_symlinks=False))
            parts = [
                _xattr_digest(path, [n for n in names if n.startswith(prefixes)])
                for prefixes in (_EVERYBODYS, _ROOTS)
            ]
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                self.not_reached[name] = f"cannot read its extended attributes: {error.strerror}"
            return None
        return ":".join(parts).rstrip(":") or None


def _xattr_digest(path: bytes, names: list[str]) -> str:
    if not names:
        return ""
    digest = hashlib.sha256()
    for name in names:
        value = os.getxattr(path, name, follow_symlinks=False)
        digest.update(ascii((name, value)).encode("ascii"))
    return digest.hexdigest()


def describe_all(entries: Iterable[tuple[str, Seen]], describer: Describer) -> TreeFingerprint:
    """Return a source's fingerprint. What vanished before it was read is volatile."""
    described: dict[str, FileEntry] = {}
    for name, seen in entries:
        check_cancelled()
        entry = describer.describe(to_bytes(name), name)
        if entry is not None:
            described[name] = entry
        elif name not in describer.not_reached:
            described[name] = FileEntry(seen.kind, 0, 0, 0, volatile=True)
    return TreeFingerprint(described, describer.not_reached)
