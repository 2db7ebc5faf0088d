"""Who may connect to the daemon's socket at all: the kernel turns strangers away, who cost nothing then.

An access control list names the two groups and the users whom drd.yaml maps. Where the file system
has none, everybody may connect, and the daemon refuses.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress

from drd.config.daemon import DaemonSettings

OPEN = 0o666
"""The mode where there can be no list."""

_LIST = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MOST, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NOBODY, _CONNECT = 0, 6
_UNNAMED = 0xFFFFFFFF


def wanted(settings: DaemonSettings) -> bytes:
    """The list by the settings, and by the users and groups that there are now."""
    users, groups = set(), set()
    for user in settings.users:
        with suppress(KeyError):
            users.add(pwd.getpwnam(user).pw_uid)
    for group in (settings.read_group, settings.operate_group):
        with suppress(KeyError):
            groups.add(grp.getgrnam(group).gr_gid)
    entries = [
        (_OWNER, _CONNECT, _UNNAMED),
        *_named(_USER, users),
        (_OWNING_GROUP, _NOBODY, _UNNAMED),
        *_named(_GROUP, groups),
        (_MOST, _CONNECT, _UNNAMED),
        (_OTHERS, _NOBODY, _UNNAMED),
    ]
    return _VERSION + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def _named(tag: int, ids: Iterable[int]) -> list[tuple[int, int, int]]:
    return [(tag, _CONNECT, one) for one in sorted(ids)]


def close_to_strangers(directory: int, name: str, entries: bytes) -> bool:
    """Give a socket of ours this list; whether it has one now. Else everybody may connect.

    Raises OSError when there is no socket of that name.
    """
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise FileNotFoundError(name)
        place = f"/proc/self/fd/{fd}"
        try:
            os.setxattr(place, _LIST, entries)
        except OSError:
            os.chmod(place, OPEN)  # noqa: PTH101 - by the descriptor
            return False
        return True
    finally:
        os.close(fd)


def refusal(user: str, settings: DaemonSettings) -> tuple[str, str]:
    """What to say to whoever has no right to anything, and the remedy."""
    read, operate = settings.read_group, settings.operate_group
    return (
        f"user {user} may not ask the daemon",
        f"{read} reads, {operate} also acts: sudo usermod -aG {read} {user}, then log in anew.",
    )
