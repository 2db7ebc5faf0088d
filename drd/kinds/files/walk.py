"""Walk trees of files without following links.

Internally paths are bytes; elsewhere they are texts in which bytes that are not UTF-8 are surrogate
escapes, whatever the locale. Entries come in the order of their names' parts, parents first: the
same for a source and for its restored copy, so that the first name of a hard-linked file is the
same in both.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from drd.kinds.files.holes import may_have
from drd.kinds.files.patterns import Excludes
from drd.process import check_cancelled

_RACY_NS = 20_000_000
"""A change within one tick of the kernel's clock (at most 10 ms) may leave the change time as it
was. Entries that changed within this time are read again afterwards.
"""


def to_text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def to_bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


class Seen(NamedTuple):
    """An entry at one instant. The signature changes whenever anything about the entry does:
    contents, attributes, or for a directory its list of names.
    """

    kind: str
    signature: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What to walk: `roots` in order, and none is below another. `inner` are named paths below a
    root: they are walked even if an exclude matches or they are on another file system.
    """

    roots: tuple[bytes, ...]
    inner: frozenset[bytes] = frozenset()
    excludes: Excludes = field(default_factory=lambda: Excludes(()))
    one_file_system: bool = False

    def leads_to_inner(self, path: bytes) -> bool:
        return any(i.startswith(path + b"/") for i in self.inner)


@dataclass(slots=True)
class Walk:
    """The result of a walk. `excluded` are the top-most excluded paths, `unread` the directories
    that could not be listed, with the reason; `complete` is false if the time ran out. `uids` and
    `gids` are the owners of the entries; `sparse` are files that may have holes. Sizes are bytes.
    """

    entries: dict[str, Seen] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    other_mounts: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    uids: set[int] = field(default_factory=set)
    gids: set[int] = field(default_factory=set)
    sparse: list[bytes] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    complete: bool = True


class _Place(NamedTuple):
    """A path on the stack. `device` is the file system to stay on; `passing` marks directories that
    are only on the path to an inner one.
    """

    path: bytes
    device: int
    passing: bool


def select(
    paths: Iterable[str], *, excludes: Iterable[str] = (), one_file_system: bool = False
) -> Selection:
    """Return the selection for a plan's paths; trailing and double slashes do not matter."""
    clean = sorted(
        {to_bytes(os.path.normpath(p.replace("//", "/"))) for p in paths},
        key=lambda p: p.split(b"/"),
    )
    roots: list[bytes] = []
    for path in clean:
        if not any(path.startswith(r.rstrip(b"/") + b"/") for r in roots):
            roots.append(path)
    inner = frozenset(clean) - frozenset(roots)
    return Selection(tuple(roots), inner, Excludes(tuple(excludes)), one_file_system)


def walk(selection: Selection, *, limit_s: float | None = None) -> Walk:
    """Walk everything selected. Entries that vanish meanwhile are ignored."""
    return _Walker(selection, limit_s).go()


class _Walker:
    def __init__(self, selection: Selection, limit_s: float | None) -> None:
        self.selection = selection
        self.found = Walk()
        self.deadline = None if limit_s is None else time.monotonic() + limit_s
        self.racy_since = time.time_ns() - _RACY_NS
        self.racy: list[bytes] = []

    def go(self) -> Walk:
        stack = [_Place(root, -1, False) for root in reversed(self.selection.roots)]
        while stack:
            place = stack.pop()
            check_cancelled()
            if self.deadline is not None and time.monotonic() > self.deadline:
                self.found.complete = False
                break
            stack.extend(self._enter(place))
        self._settle()
        return self.found

    def _enter(self, place: _Place) -> list[_Place]:
        """Record one entry, and put its children on the stack in reverse order."""
        try:
            info = os.lstat(place.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.found.unread[to_text(place.path)] = error.strerror or str(error)
            return []
        kind = kind_of(info.st_mode)
        if kind == "socket":
            return []  # restic passes them over: they mean nothing without their process
        device, passing = self._judge(place, info, kind)
        if device is None:
            return []
        self._note(place.path, kind, info)
        return self._children(place.path, device, passing) if kind == "directory" else []

    def _judge(self, place: _Place, info: os.stat_result, kind: str) -> tuple[int | None, bool]:
        """Return the device to stay on below this entry, None if it is excluded; and whether it is
        only on the path to something else.
        """
        if place.device == -1 or place.path in self.selection.inner:
            return info.st_dev, False
        away = self.selection.one_file_system and info.st_dev != place.device
        text = to_text(place.path)
        out = self.selection.excludes.match(text, directory=kind == "directory")
        if not (away or out or place.passing):
            return place.device, False
        if kind == "directory" and self.selection.leads_to_inner(place.path):
            return place.device, True
        self.found.excluded.append(text)
        if away and not out:
            self.found.other_mounts.append(text)
        return None, False

    def _note(self, path: bytes, kind: str, info: os.stat_result) -> None:
        if path == b"/":
            return  # no repository stores attributes of the root directory
        self.found.entries[to_text(path)] = Seen(kind, _signature(info))
        self.found.uids.add(info.st_uid)
        self.found.gids.add(info.st_gid)
        if kind == "file":
            self.found.files += 1
            self.found.bytes += info.st_size
            if may_have(info):
                self.found.sparse.append(path)
        if info.st_ctime_ns > self.racy_since:
            self.racy.append(path)

    def _children(self, path: bytes, device: int, passing: bool) -> list[_Place]:
        try:
            names = sorted(os.listdir(path), reverse=True)  # noqa: PTH208 - paths are bytes
        except FileNotFoundError:
            return []
        except OSError as error:
            self.found.unread[to_text(path)] = error.strerror or str(error)
            return []
        prefix = path if path == b"/" else path + b"/"
        return [_Place(prefix + name, device, passing) for name in names]

    def _settle(self) -> None:
        """Sign again what changed just before or while it was read."""
        if not self.racy:
            return
        time.sleep(_RACY_NS / 1e9)
        for path in self.racy:
            try:
                info = os.lstat(path)
            except OSError:
                continue
            self.found.entries[to_text(path)] = Seen(kind_of(info.st_mode), _signature(info))


def _signature(info: os.stat_result) -> int:
    return hash((info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns))


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def kind_of(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "device")
