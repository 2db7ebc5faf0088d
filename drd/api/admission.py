"""Decide who may connect to the daemon's socket: the kernel rejects all other users, at no cost.

An access control list names the two groups and the users whom drd.yaml maps. If the file system has
no such lists, everyone may connect, and the daemon refuses requests."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress

from drd import acl
from drd.config.daemon import DaemonSettings

OPEN = 0o666
"""The mode of the socket where access control lists are not possible."""

_CONNECT = 6


def wanted(settings: DaemonSettings) -> bytes:
    """Return the list for the settings, and for the current users and groups."""
    users, groups = set(), set()
    for user in settings.users:
        with suppress(KeyError):
            users.add(pwd.getpwnam(user).pw_uid)
    for group in (settings.read_group, settings.operate_group):
        with suppress(KeyError):
            groups.add(grp.getgrnam(group).gr_gid)
    return acl.encode(acl.Rights(_CONNECT, _CONNECT), users=users, groups=groups)


def close_to_strangers(directory: int, name: str, entries: bytes) -> bool:
    """Give the daemon's socket this access control list; return whether the socket has such a list
    now. Without a list, everyone may connect. Raises OSError when there is no socket of this name.
    """
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise FileNotFoundError(name)
        try:
            acl.put(fd, acl.ACCESS, entries)
        except OSError:
            os.chmod(f"/proc/self/fd/{fd}", OPEN)  # noqa: PTH101 - by the descriptor
            return False
        return True
    finally:
        os.close(fd)


def refusal(user: str, settings: DaemonSettings) -> tuple[str, str]:
    """Return the error for a caller without any right, and the remedy."""
    read, operate = settings.read_group, settings.operate_group
    return (
        f"user {user} may not use the socket of the daemon",
        (
            f"add the user to a group: `sudo usermod -aG {read} {user}` to read, `sudo usermod -aG "
            f"{operate} {user}` to act as well; then log in again."
        ),
    )
