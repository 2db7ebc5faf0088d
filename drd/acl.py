"""POSIX access control lists in Linux's extended attributes: acl(5), <linux/posix_acl_xattr.h>.

drd reads them itself: Python has no function for them, and no program needs to be installed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from drd.named import NamedTuple

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
"""The default list of a directory, with which new files and directories in it begin."""

WRITE = 2

_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_UNNAMED = 0xFFFFFFFF


class Rights(NamedTuple):
    """Bits as in a mode: 4 read, 2 write, 1 execute or search."""

    owner: int
    named: int
    owning_group: int = 0
    others: int = 0


def encode(rights: Rights, *, users: Iterable[int] = (), groups: Iterable[int] = ()) -> bytes:
    """Return the list that gives `rights.named` to these users and groups."""
    entries = [
        (_OWNER, rights.owner, _UNNAMED),
        *((_USER, rights.named, one) for one in sorted(users)),
        (_OWNING_GROUP, rights.owning_group, _UNNAMED),
        *((_GROUP, rights.named, one) for one in sorted(groups)),
        (_MASK, rights.named | rights.owning_group, _UNNAMED),
        (_OTHERS, rights.others, _UNNAMED),
    ]
    return _VERSION + b"".join(_ENTRY.pack(*entry) for entry in entries)


def put(fd: int, name: str, entries: bytes | None) -> None:
    """Set this list on an open file, or remove it. Raises OSError where the file system has no
    lists.
    """
    place = f"/proc/self/fd/{fd}"
    with suppress(OSError):
        if os.getxattr(place, name) == entries:
            return
    if entries is not None:
        os.setxattr(place, name, entries)
        return
    with suppress(OSError):
        os.removexattr(place, name)


def read(place: str | int, name: str = ACCESS) -> bytes | None:
    """Return the access control list of the file at a path (a link is not followed), or of an open
    file; None when it has none.
    """
    if isinstance(place, int):
        place, follow = f"/proc/self/fd/{place}", True
    else:
        follow = False
    try:
        return os.getxattr(place, name, follow_symlinks=follow)
    except OSError:
        return None


class NamedEntry(NamedTuple):
    """A user or a group that a list names."""

    is_group: bool
    id: int


def named(entries: bytes, right: int) -> Iterator[NamedEntry]:
    """Yield the users and groups to whom this list gives the right. The mask of the list is what
    the mode shows as the group's rights.
    """
    listed = list(_ENTRY.iter_unpack(entries[len(_VERSION) :]))
    mask = next((rights for tag, rights, _ in listed if tag == _MASK), 7)
    for tag, rights, one in listed:
        if tag in (_USER, _GROUP) and rights & mask & right:
            yield NamedEntry(tag == _GROUP, one)


def gives_owning_group(entries: bytes | None, right: int) -> bool:
    """Return whether the owning group of a file has this right, for a file whose mode shows it as
    the group's. With a list, the mode shows the list's mask there, and the group has its own entry.
    """
    listed = _ENTRY.iter_unpack(entries[len(_VERSION) :]) if entries is not None else ()
    return all(rights & right for tag, rights, _ in listed if tag == _OWNING_GROUP)


def groups(place: str, name: str, right: int) -> Iterator[int]:
    """Yield the ids of the groups to which the list at a place gives this right; nothing if there
    is no list."""
    groups_named = named(read(place, name) or _VERSION, right)
    yield from (one.id for one in groups_named if one.is_group)
